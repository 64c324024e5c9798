/*-------------------------------------------------------------------------
 *
 * fuzz_mutate.c
 *	  Mutations of JSON text that know what it is about.
 *
 * Most change one value of a text, or put one more in, by a rule that fits
 * its key.  The rest is left to libFuzzer, which changes bytes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "fuzz_json.h"

extern size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
extern size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
									  unsigned int number);
extern size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1,
										const uint8_t *data2, size_t size2,
										uint8_t *out, size_t max,
										unsigned int number);

static void make_text(uint8_t *data, size_t size);
static void replace(Out *out, const Text *text, const Value *value);
static void take_out(Out *out, const Text *text, const Value *value);
static void put_in(Out *out, const Text *text, const Value *value);
static void wrap(Out *out, const Text *text, const Value *value);
static void rename_key(Out *out, const Text *text, const Value *value);
static void put_copy(Out *out, const Text *text, const Value *value,
					 const Text *from);
static int	nrules(const CanoShape *shape);
static const CanoShape *any_shape(void);
static const CanoShape *shape_of(const Text *text, const Value *value);
static const CanoRule *rule_of(const char *key);

const FuzzGrammar *fuzz_grammar;

/* Where two texts are at work at once, the second is only copied from. */
static Text first_text;
static Text second_text;

void
fuzz_json_use(const FuzzGrammar *grammar)
{
	fuzz_grammar = grammar;
}

/*
 * What libFuzzer calls for a mutation.  "data" has room for "max" bytes.
 */
size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
						unsigned int number)
{
	Text	   *text = &first_text;
	Out			out = {malloc(max), 0, max};
	const Value *value;

	fuzz_seed(number);
	if (size == 0 || !fuzz_scan(text, (const char *) data, size))
	{
		if (fuzz_chance(70))
			fuzz_put_value(&out, text, &(CanoRule) {"", (CanoType) FUZZ_TYPE_SHAPE});
	}
	else if (!fuzz_chance(4))
	{
		value = &text->values[fuzz_below(text->nvalues)];
		switch (fuzz_below(10))
		{
			case 0:
				take_out(&out, text, value);
				break;
			case 1:
			case 2:
				put_in(&out, text, value);
				break;
			case 3:
				rename_key(&out, text, value);
				break;
			case 4:
				put_copy(&out, text, value, text);
				break;
			case 5:
				wrap(&out, text, value);
				break;
			default:
				replace(&out, text, value);
				break;
		}
	}

	if (out.full || out.length == 0)
		size = LLVMFuzzerMutate(data, size, max);
	else
	{
		memcpy(data, out.bytes, out.length);
		size = out.length;
	}
	free(out.bytes);
	make_text(data, size);
	return size;
}

/*
 * Whatever it was, now it is text.
 */
static void
make_text(uint8_t *data, size_t size)
{
	if (!pg_verify_mbstr(PG_UTF8, (char *) data, size, true))
		for (size_t i = 0; i < size; i++)
			data[i] = (data[i] & 0x7f) != 0 ? data[i] & 0x7f : ' ';
}

/*
 * A value of the first in the place of one of the second.
 */
size_t
LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1,
						  const uint8_t *data2, size_t size2, uint8_t *bytes,
						  size_t max, unsigned int number)
{
	Out			out = {(char *) bytes, 0, max};

	fuzz_seed(number);
	if (!fuzz_scan(&first_text, (const char *) data1, size1) ||
		!fuzz_scan(&second_text, (const char *) data2, size2))
		return 0;
	put_copy(&out, &second_text,
			 &second_text.values[fuzz_below(second_text.nvalues)], &first_text);
	if (out.full)
		return 0;
	make_text(bytes, out.length);
	return out.length;
}

/* Another value for the same key. */
static void
replace(Out *out, const Text *text, const Value *value)
{
	const CanoRule *rule = rule_of(value->key);

	fuzz_put_text(out, text, 0, value->begin);
	if (value->key[0] == '\0' && value->parent >= 0 && fuzz_chance(70))
		rule = rule_of(text->values[value->parent].key);
	if (rule != NULL && !fuzz_chance(10))
		fuzz_put_value(out, text, rule);
	else
		fuzz_put_any(out);
	fuzz_put_text(out, text, value->end, text->length);
}

/* Without that member or element. */
static void
take_out(Out *out, const Text *text, const Value *value)
{
	int			begin = value->member;
	int			end = value->end;

	if (value->parent < 0)
		return;
	while (end < text->length && strchr(" \t\r\n", text->bytes[end]))
		end++;
	if (end < text->length && text->bytes[end] == ',')
		end++;
	else
	{
		while (begin > 0 && strchr(" \t\r\n", text->bytes[begin - 1]))
			begin--;
		if (text->bytes[begin - 1] == ',')
			begin--;
	}
	fuzz_put_text(out, text, 0, begin);
	fuzz_put_text(out, text, end, text->length);
}

/* One more member or element, first. */
static void
put_in(Out *out, const Text *text, const Value *value)
{
	const CanoRule *rule = rule_of(value->key);
	char		open = text->bytes[value->begin];
	int			i = value->begin + 1;

	while (open != '{' && open != '[' && value->parent >= 0)
	{
		value = &text->values[value->parent];
		rule = rule_of(value->key);
		open = text->bytes[value->begin];
		i = value->begin + 1;
	}
	if (open != '{' && open != '[')
		return;

	fuzz_put_text(out, text, 0, i);
	if (open == '[' && fuzz_grammar->definitions && value->parent < 0 && fuzz_chance(80))
		fuzz_put_part(out, text);
	else if (open == '[')
	{
		if (rule != NULL && fuzz_chance(50))
			fuzz_put_value(out, text, rule);
		else
			fuzz_put_any(out);
	}
	else if (fuzz_grammar->definitions && strcmp(value->key, "states") == 0)
	{
		fuzz_put_state_name(out, text);
		PUT(out, ":");
		fuzz_put_state(out, text);
	}
	else
	{
		const CanoShape *shape = fuzz_chance(90) ? shape_of(text, value) : any_shape();

		if (nrules(shape) == 0)
			shape = any_shape();
		if (nrules(shape) == 0)
			fuzz_put(out, "\"x\":0", 5);
		else
			fuzz_put_member(out, text, &shape->rules[fuzz_below(nrules(shape))]);
	}
	while (i < text->length && strchr(" \t\r\n", text->bytes[i]))
		i++;
	if (!strchr("}]", text->bytes[i]))
		PUT(out, ",");
	fuzz_put_text(out, text, i, text->length);
}

static void
wrap(Out *out, const Text *text, const Value *value)
{
	int			n = fuzz_chance(90) ? 1 : 1 + fuzz_below(200);

	fuzz_put_text(out, text, 0, value->begin);
	for (int i = 0; i < n; i++)
		PUT(out, "[");
	fuzz_put_text(out, text, value->begin, value->end);
	for (int i = 0; i < n; i++)
		PUT(out, "]");
	fuzz_put_text(out, text, value->end, text->length);
}

/* Another key, or nearly the same. */
static void
rename_key(Out *out, const Text *text, const Value *value)
{
	const CanoShape *shape = any_shape();
	char		key[MAX_KEY];

	if (value->key[0] == '\0')
		return;
	strlcpy(key, value->key, MAX_KEY);
	if (fuzz_chance(30))
		key[fuzz_below(strlen(key))] = 'a' + fuzz_below(26);
	else if (fuzz_chance(50))
		strlcpy(key, fuzz_odd_string(), MAX_KEY - 1);
	else if (nrules(shape) > 0)
		strlcpy(key, shape->rules[fuzz_below(nrules(shape))].key, MAX_KEY);
	fuzz_put_text(out, text, 0, value->member);
	fuzz_put_string(out, key);
	PUT(out, ":");
	fuzz_put_text(out, text, value->begin, text->length);
}

/* A value of this text or another one in its place. */
static void
put_copy(Out *out, const Text *text, const Value *value, const Text *from)
{
	const Value *other = &from->values[fuzz_below(from->nvalues)];

	/* Rather one of the same key. */
	for (int i = 0; i < 20 && strcmp(other->key, value->key) != 0; i++)
		other = &from->values[fuzz_below(from->nvalues)];
	fuzz_put_text(out, text, 0, value->begin);
	fuzz_put_text(out, from, other->begin, other->end);
	fuzz_put_text(out, text, value->end, text->length);
}

static int
nrules(const CanoShape *shape)
{
	int			n = 0;

	while (shape->rules[n].key != NULL)
		n++;
	return n;
}

static const CanoShape *
any_shape(void)
{
	static const CanoShape *const others[] = {
		&cano_rules_options, &cano_rules_branch, &cano_rules_resource
	};
	static const CanoVariant *const variants[] = {
		&cano_rules_state, &cano_rules_retry, &cano_rules_join
	};
	const CanoVariant *variant = ONE_OF(variants);

	if (!fuzz_grammar->definitions || fuzz_chance(10))
		return &fuzz_grammar->shapes[fuzz_below(fuzz_grammar->nshapes)];
	if (fuzz_chance(30))
		return ONE_OF(others);
	return &variant->shapes[fuzz_below(variant->nshapes)];
}

/* By its tag, or by its key. */
static const CanoShape *
shape_of(const Text *text, const Value *value)
{
	static const CanoVariant *const variants[] = {
		&cano_rules_state, &cano_rules_retry, &cano_rules_join
	};
	int			number = value - text->values;
	const CanoRule *rule = rule_of(value->key);

	for (int i = number + 1; i < text->nvalues; i++)
	{
		const Value *member = &text->values[i];
		char		word[MAX_KEY];

		if (member->parent != number || text->bytes[member->begin] != '"')
			continue;
		fuzz_copy_string(word, text, member->begin, member->end);
		for (int j = 0; j < lengthof(variants); j++)
			if (strcmp(member->key, variants[j]->tag) == 0 &&
				cano_rules_shape(variants[j], word) != NULL)
				return cano_rules_shape(variants[j], word);
	}
	if (strcmp(value->key, "options") == 0)
		return &cano_rules_options;
	if (rule != NULL && (int) rule->type == FUZZ_TYPE_SHAPE)
		return &fuzz_grammar->shapes[rule->fallback];
	return value->parent < 0 ? &fuzz_grammar->shapes[0] : any_shape();
}

static const CanoRule *
rule_of(const char *key)
{
	int			from = fuzz_below(fuzz_grammar->nshapes);

	/* Several may have it, under different rules. */
	for (int i = 0; i < fuzz_grammar->nshapes; i++)
	{
		const CanoShape *shape = &fuzz_grammar->shapes[(from + i) % fuzz_grammar->nshapes];

		if (cano_rules_find(shape, key) != NULL)
			return cano_rules_find(shape, key);
	}
	for (int i = 0; i < 100 && fuzz_grammar->definitions && key[0] != '\0'; i++)
	{
		const CanoRule *rule = cano_rules_find(any_shape(), key);

		if (rule != NULL)
			return rule;
	}
	return NULL;
}
