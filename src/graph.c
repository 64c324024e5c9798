/*-------------------------------------------------------------------------
 *
 * graph.c
 *	  States by name, and which state leads to which.
 *
 * A generated workflow may have a great many states, so nothing here takes
 * more than n log n.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "graph.h"
#include "spelling.h"

static int	compare_names(const void *a, const void *b);
static int *edges_by_state(const CanoGraph *graph, int **first);

void
cano_graph_init(CanoGraph *graph)
{
	graph->nstates = graph->nedges = 0;
	graph->maxstates = graph->maxedges = 64;
	graph->states = palloc_array(CanoGraphState, graph->maxstates);
	graph->edges = palloc_array(CanoGraphEdge, graph->maxedges);
	graph->by_name = NULL;
}

int
cano_graph_add_state(CanoGraph *graph, const char *name)
{
	CanoGraphState *state;

	if (graph->nstates == graph->maxstates)
	{
		graph->maxstates *= 2;
		graph->states = repalloc_huge(graph->states,
									  sizeof(CanoGraphState) * graph->maxstates);
	}
	state = &graph->states[graph->nstates];
	state->name = name;
	state->anywhere = false;
	return graph->nstates++;
}

void
cano_graph_add_edge(CanoGraph *graph, int from, const char *key,
					const char *target)
{
	CanoGraphEdge *edge;

	if (graph->nedges == graph->maxedges)
	{
		graph->maxedges *= 2;
		graph->edges = repalloc_huge(graph->edges,
									 sizeof(CanoGraphEdge) * graph->maxedges);
	}
	edge = &graph->edges[graph->nedges++];
	edge->from = from;
	edge->to = -1;
	edge->key = key;
	edge->target = target;
}

const char *
cano_graph_sort(CanoGraph *graph)
{
	graph->by_name = MemoryContextAllocHuge(CurrentMemoryContext,
											sizeof(CanoGraphState *) *
											Max(graph->nstates, 1));
	for (int i = 0; i < graph->nstates; i++)
		graph->by_name[i] = &graph->states[i];
	qsort(graph->by_name, graph->nstates, sizeof(CanoGraphState *),
		  compare_names);

	for (int i = 1; i < graph->nstates; i++)
		if (strcmp(graph->by_name[i - 1]->name, graph->by_name[i]->name) == 0)
			return graph->by_name[i]->name;
	return NULL;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp((*(const CanoGraphState *const *) a)->name,
				  (*(const CanoGraphState *const *) b)->name);
}

int
cano_graph_find(const CanoGraph *graph, const char *name)
{
	CanoGraphState wanted = {.name = name};
	const CanoGraphState *key = &wanted;
	const CanoGraphState **found = bsearch(&key, graph->by_name,
										   graph->nstates,
										   sizeof(CanoGraphState *),
										   compare_names);

	return found == NULL ? -1 : (int) (*found - graph->states);
}

const char *
cano_graph_hint(const CanoGraph *graph, const char *name)
{
	CanoSpelling spelling;

	cano_spelling_init(&spelling, name);
	for (int i = 0; i < graph->nstates; i++)
		cano_spelling_offer(&spelling, graph->states[i].name);
	return cano_spelling_hint(&spelling, "state",
							  "Add that state, or correct the name.");
}

const CanoGraphEdge *
cano_graph_link(CanoGraph *graph)
{
	for (int i = 0; i < graph->nedges; i++)
	{
		graph->edges[i].to = cano_graph_find(graph, graph->edges[i].target);
		if (graph->edges[i].to < 0)
			return &graph->edges[i];
	}
	return NULL;
}

const CanoGraphState *
cano_graph_unreachable(const CanoGraph *graph, int start)
{
	int		   *first;
	int		   *targets = edges_by_state(graph, &first);
	bool	   *reached = palloc0(sizeof(bool) * graph->nstates);
	int		   *stack = palloc(sizeof(int) * graph->nstates);
	int			depth = 0;

	reached[start] = true;
	stack[depth++] = start;
	while (depth > 0)
	{
		int			state = stack[--depth];

		if (graph->states[state].anywhere)
			return NULL;
		for (int i = first[state]; i < first[state + 1]; i++)
			if (!reached[targets[i]])
			{
				reached[targets[i]] = true;
				stack[depth++] = targets[i];
			}
	}

	for (int i = 0; i < graph->nstates; i++)
		if (!reached[i])
			return &graph->states[i];
	return NULL;
}

/*
 * Targets grouped by the state they are reached from: those of state i are
 * at first[i] up to, not including, first[i + 1].
 */
static int *
edges_by_state(const CanoGraph *graph, int **first)
{
	int		   *targets = MemoryContextAllocHuge(CurrentMemoryContext,
												 sizeof(int) * Max(graph->nedges, 1));
	int		   *start = palloc0(sizeof(int) * (graph->nstates + 1));
	int		   *fill = palloc(sizeof(int) * graph->nstates);

	for (int i = 0; i < graph->nedges; i++)
		start[graph->edges[i].from + 1]++;
	for (int i = 0; i < graph->nstates; i++)
	{
		start[i + 1] += start[i];
		fill[i] = start[i];
	}
	for (int i = 0; i < graph->nedges; i++)
		targets[fill[graph->edges[i].from]++] = graph->edges[i].to;
	*first = start;
	return targets;
}
