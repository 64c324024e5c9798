/*-------------------------------------------------------------------------
 *
 * graph.h
 *	  States by name, and which state leads to which.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_GRAPH_H
#define CANO_GRAPH_H

typedef struct CanoGraphState
{
	const char *name;
	bool		anywhere;		/* leads to every state */
} CanoGraphState;

typedef struct CanoGraphEdge
{
	int			from;
	int			to;				/* set by cano_graph_link */
	const char *key;
	const char *target;
} CanoGraphEdge;

typedef struct CanoGraph
{
	int			nstates;
	int			maxstates;
	CanoGraphState *states;
	int			nedges;
	int			maxedges;
	CanoGraphEdge *edges;
	const CanoGraphState **by_name; /* made by cano_graph_sort */
} CanoGraph;

/* Names are kept by reference. */
extern void cano_graph_init(CanoGraph *graph);
extern int	cano_graph_add_state(CanoGraph *graph, const char *name);
extern void cano_graph_add_edge(CanoGraph *graph, int from, const char *key,
								const char *target);

/*
 * Make states findable.  Returns the name that two of them have, or NULL.
 */
extern const char *cano_graph_sort(CanoGraph *graph);

/* The index of a state, or -1. */
extern int	cano_graph_find(const CanoGraph *graph, const char *name);

/*
 * Find the target of every edge.  Returns the first edge whose target does
 * not exist, or NULL.
 */
extern const CanoGraphEdge *cano_graph_link(CanoGraph *graph);

/* What to say of a name that no state has. */
extern const char *cano_graph_hint(const CanoGraph *graph, const char *name);

/* The first state that nobody can reach from the start, or NULL. */
extern const CanoGraphState *cano_graph_unreachable(const CanoGraph *graph,
													int start);

#endif							/* CANO_GRAPH_H */
