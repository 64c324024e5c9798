-- user.sql
--	  Let a role use the router.  On the nodes it is a role of the same name, a
--	  member of fleet_user, and has a password; here too it can log in.
--	  As superuser, on the router:
--
--		  read -rs FLEET_PASSWORD && export FLEET_PASSWORD
--		  psql -X -q -v ON_ERROR_STOP=1 -d router -v role=anna -f user.sql
--
-- The password is not logged, and is shown to the role itself and superusers
-- only (pg_user_mappings).  A dump of the router has it.

\getenv password FLEET_PASSWORD
BEGIN;
SET LOCAL log_statement = 'none';
SET LOCAL log_min_duration_statement = -1;
SET LOCAL log_min_error_statement = 'panic';
CREATE USER MAPPING FOR :"role" SERVER fleet OPTIONS (user :'role', password :'password');
GRANT fleet_user TO :"role";
COMMIT;
