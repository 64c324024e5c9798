/*-------------------------------------------------------------------------
 *
 * fuzz_json.c
 *	  JSON text cut up into its values, and put together anew.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fuzz_json.h"

static bool scan_value(Text *text, int parent, int member, const char *key,
					   int depth);
static bool scan_members(Text *text, int parent, int depth);
static bool scan_string(Text *text);
static void skip_space(Text *text);

static uint64 seed;

void
fuzz_seed(unsigned int number)
{
	seed = UINT64CONST(0x9e3779b97f4a7c15) * (number + UINT64CONST(1));
}

uint32
fuzz_below(uint32 n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32) (seed >> 11) % n;
}

bool
fuzz_chance(int percent)
{
	return fuzz_below(100) < percent;
}

bool
fuzz_scan(Text *text, const char *bytes, int length)
{
	text->bytes = bytes;
	text->length = length;
	text->at = 0;
	text->nvalues = 0;
	if (!scan_value(text, -1, -1, "", 0))
	{
		text->nvalues = 0;
		return false;
	}
	skip_space(text);
	return text->at == length;
}

static bool
scan_value(Text *text, int parent, int member, const char *key, int depth)
{
	int			number = text->nvalues++;
	Value	   *value;

	if (number == MAX_VALUES || depth > MAX_DEPTH)
	{
		text->nvalues = 0;
		return false;
	}
	value = &text->values[number];
	skip_space(text);
	value->begin = text->at;
	value->member = member < 0 ? text->at : member;
	value->parent = parent;
	strcpy(value->key, key);
	if (text->at == text->length)
		return false;

	if (text->bytes[text->at] == '"')
	{
		if (!scan_string(text))
			return false;
	}
	else if (strchr("{[", text->bytes[text->at]))
	{
		if (!scan_members(text, number, depth))
			return false;
	}
	else
	{
		while (text->at < text->length &&
			   !strchr(" \t\r\n,:\"{}[]", text->bytes[text->at]))
			text->at++;
		if (text->at == value->begin)
			return false;
	}
	value->end = text->at;
	return true;
}

static bool
scan_members(Text *text, int parent, int depth)
{
	char		close = text->bytes[text->at++] == '{' ? '}' : ']';

	for (int i = 0;; i++)
	{
		char		key[MAX_KEY] = "";
		int			member = -1;

		skip_space(text);
		if (text->at == text->length)
			return false;
		if (text->bytes[text->at] == close && i == 0)
			break;
		if (close == '}')
		{
			member = text->at;
			if (text->bytes[text->at] != '"' || !scan_string(text))
				return false;
			fuzz_copy_string(key, text, member, text->at);
			skip_space(text);
			if (text->at == text->length || text->bytes[text->at++] != ':')
				return false;
		}
		if (!scan_value(text, parent, member, key, depth + 1))
			return false;
		skip_space(text);
		if (text->at == text->length)
			return false;
		if (text->bytes[text->at] == close)
			break;
		if (text->bytes[text->at++] != ',')
			return false;
	}
	text->at++;
	return true;
}

static bool
scan_string(Text *text)
{
	for (text->at++; text->at < text->length; text->at++)
	{
		if (text->bytes[text->at] == '\\')
			text->at++;
		else if (text->bytes[text->at] == '"')
		{
			text->at++;
			return true;
		}
	}
	text->at = text->length;
	return false;
}

static void
skip_space(Text *text)
{
	while (text->at < text->length && strchr(" \t\r\n", text->bytes[text->at]))
		text->at++;
}

void
fuzz_copy_string(char *to, const Text *text, int begin, int end)
{
	int			length = Min(end - begin - 2, MAX_KEY - 1);

	memcpy(to, text->bytes + begin + 1, length);
	to[length] = '\0';
}

void
fuzz_put(Out *out, const char *bytes, int length)
{
	if (length > out->max - out->length)
	{
		out->full = true;
		return;
	}
	memcpy(out->bytes + out->length, bytes, length);
	out->length += length;
}

void
fuzz_put_string(Out *out, const char *string)
{
	PUT(out, "\"");
	for (; *string != '\0'; string++)
	{
		if (*string == '\n')
			PUT(out, "\\n");
		else
		{
			if (*string == '"' || *string == '\\')
				PUT(out, "\\");
			fuzz_put(out, string, 1);
		}
	}
	PUT(out, "\"");
}

void
fuzz_put_text(Out *out, const Text *text, int begin, int end)
{
	fuzz_put(out, text->bytes + begin, end - begin);
}
