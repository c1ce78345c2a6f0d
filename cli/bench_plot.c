/* SPDX-License-Identifier: Apache-2.0 */
/* What bench measured, as bars in an SVG that is readable in light and in dark. */
#include <stdlib.h>

#include "bench.h"
#include "cleanup.h"
#include "show.h"

#define WIDTH 860
#define MARGIN 20
#define PANEL_GAP 28
#define PANEL_WIDTH ((WIDTH - 2 * MARGIN - PANEL_GAP) / 2)
#define LABEL_WIDTH 92
#define VALUE_WIDTH 84
#define BAR_ROOM (PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH)
#define HEAD 64	 /* of the picture: title and notes */
#define TITLE 22 /* of a panel */
#define ROW 30
#define BAR 16
#define NONE BENCH_VALUES

/* A panel has one bar for each pair, or two. */
static const struct panel {
	const char *title;
	enum bench_value values[2];
	const char *names[2];
} panels[] = {
	{"Load the image", {BENCH_LOAD, BENCH_SYNC}, {"whole", "in it: waiting for the disk"}},
	{"Create a container", {BENCH_CREATE_COLD, BENCH_CREATE_WARM}, {"cold", "warm"}},
	{"First write to a file", {BENCH_WRITE_COLD, BENCH_WRITE_WARM}, {"cold", "warm"}},
	{"Walk the tree", {BENCH_WALK_COLD, BENCH_WALK_WARM}, {"cold", "warm"}},
	{"Remove the container", {BENCH_REMOVE, NONE}, {NULL, NULL}},
	{"Remove the image", {BENCH_REMOVE_IMAGE, NONE}, {NULL, NULL}},
	{"CPU time of the load", {BENCH_CPU, NONE}, {NULL, NULL}},
	{"Space that the image takes", {BENCH_SPACE, NONE}, {NULL, NULL}},
};

#define N_PANELS (sizeof(panels) / sizeof(panels[0]))

/*
 * The colours stand twice: as attributes, for what reads no style sheet, in the light ones; and as
 * classes, which a dark scheme changes. The ground is drawn, so that the text never stands on another.
 */
static const char head[] =
	"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
	"viewBox=\"0 0 %d %d\" role=\"img\" "
	"font-family=\"system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif\" font-size=\"12\">\n"
	"<style>\n"
	".ground { fill: #ffffff } .text { fill: #1f2328 } .quiet { fill: #59636e }\n"
	".one { fill: #2a6ebb } .two { fill: #d8871a } .range { stroke: #1f2328 }\n"
	".axis { stroke: #c9d1d9 }\n"
	"@media (prefers-color-scheme: dark) {\n"
	".ground { fill: #0d1117 } .text { fill: #e6edf3 } .quiet { fill: #9aa4af }\n"
	".one { fill: #4d94e8 } .two { fill: #e0a040 } .range { stroke: #e6edf3 }\n"
	".axis { stroke: #3d444d }\n"
	"}\n"
	"</style>\n"
	"<rect class=\"ground\" fill=\"#ffffff\" width=\"100%%\" height=\"100%%\"/>\n";

static void put_escaped(FILE *to, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", to);
			break;
		case '<':
			fputs("&lt;", to);
			break;
		case '>':
			fputs("&gt;", to);
			break;
		default:
			fputc(*text, to);
		}
	}
}

/* A name from outside, as UTF-8 without control characters. */
static void put_name(FILE *to, const char *name)
{
	cleanup_free char *clean = NULL;
	size_t size;
	FILE *memory = open_memstream(&clean, &size);

	if (!memory)
		return;
	show_text(memory, name);
	if (!fclose(memory))
		put_escaped(to, clean);
}

static size_t count_measured(const struct bench *bench)
{
	size_t count = 0;

	for (size_t i = 0; i < bench->n_pairs; i++)
		count += bench->pairs[i].status == BENCH_MEASURED;
	return count;
}

/* What a bar as wide as the panel would be. */
static double panel_scale(const struct bench *bench, const struct panel *panel)
{
	double scale = 0;

	for (size_t i = 0; i < bench->n_pairs; i++) {
		for (size_t j = 0; j < 2 && panel->values[j] != NONE; j++) {
			struct spread spread;

			if (bench_spread(&bench->pairs[i], panel->values[j], &spread) &&
			    spread.max > scale)
				scale = spread.max;
		}
	}
	return scale > 0 ? scale : 1;
}

static void put_value(FILE *to, enum bench_value value, double amount)
{
	if (bench_about[value].unit == BENCH_NS)
		fprintf(to, "%s ms", bench_milliseconds(amount).text);
	else
		fputs(show_size(amount > 0 ? (uint64_t)amount : 0).text, to);
}

static double place(double amount, double scale)
{
	const int room = BAR_ROOM;

	return amount > 0 ? amount / scale * room : 0;
}

static void put_bar(FILE *to, const struct bench *bench, const struct bench_pair *pair,
		    enum bench_value value, int is_second, double scale, double x, double y,
		    double height)
{
	double middle = y + height / 2;
	int is_best = bench_is_best(bench, pair, value);
	struct spread spread;

	if (!bench_spread(pair, value, &spread)) {
		fprintf(to,
			"<text class=\"quiet\" fill=\"#59636e\" x=\"%.1f\" y=\"%.1f\" "
			"font-size=\"10\">not measured</text>\n",
			x + 5, middle + 3.5);
		return;
	}
	fprintf(to,
		"<rect class=\"%s\" fill=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
		"height=\"%.1f\"/>\n",
		is_second ? "two" : "one", is_second ? "#d8871a" : "#2a6ebb", x, y,
		place(spread.median, scale), height);
	if (spread.max > spread.min)
		fprintf(to,
			"<path class=\"range\" stroke=\"#1f2328\" fill=\"none\" d=\"M%.1f "
			"%.1fH%.1f\"/>"
			"\n",
			x + place(spread.min, scale), middle, x + place(spread.max, scale));
	fprintf(to,
		"<text class=\"text\" fill=\"#1f2328\" x=\"%.1f\" y=\"%.1f\" font-size=\"10\"%s>",
		x + place(spread.max, scale) + 5, middle + 3.5,
		is_best ? " font-weight=\"bold\"" : "");
	put_value(to, value, spread.median);
	fprintf(to, "%s</text>\n", is_best ? " *" : "");
}

static void put_legend(FILE *to, const struct panel *panel, int x, int y)
{
	if (!panel->names[0])
		return;
	fprintf(to,
		"<text class=\"quiet\" fill=\"#59636e\" font-size=\"11\" text-anchor=\"end\" "
		"x=\"%d\" y=\"%d\"><tspan class=\"one\" fill=\"#2a6ebb\">&#9632;</tspan> %s &#160; "
		"<tspan class=\"two\" fill=\"#d8871a\">&#9632;</tspan> %s</text>\n",
		x + PANEL_WIDTH, y + 12, panel->names[0], panel->names[1]);
}

static void put_panel(FILE *to, const struct bench *bench, const struct panel *panel, int x, int y)
{
	double scale = panel_scale(bench, panel);
	int top = y + TITLE, row = top, bars = x + LABEL_WIDTH;
	int has_two = panel->values[1] != NONE;

	fprintf(to,
		"<text class=\"text\" fill=\"#1f2328\" font-size=\"13\" font-weight=\"bold\" "
		"x=\"%d\" y=\"%d\">%s</text>\n",
		x, y + 12, panel->title);
	put_legend(to, panel, x, y);
	for (size_t i = 0; i < bench->n_pairs; i++) {
		const struct bench_pair *pair = &bench->pairs[i];
		double height = has_two ? (ROW - 6) / 2.0 : BAR;

		if (pair->status != BENCH_MEASURED)
			continue;
		fprintf(to,
			"<text class=\"text\" fill=\"#1f2328\" text-anchor=\"end\" x=\"%d\" "
			"y=\"%d\">",
			bars - 6, row + ROW / 2 + 4);
		put_name(to, pair->filesystem);
		fprintf(to, " %s</text>\n", pair->backend);
		put_bar(to, bench, pair, panel->values[0], 0, scale, bars,
			row + (has_two ? 3 : (ROW - BAR) / 2.0), height);
		if (has_two)
			put_bar(to, bench, pair, panel->values[1], 1, scale, bars, row + 3 + height,
				height);
		row += ROW;
	}
	fprintf(to, "<path class=\"axis\" stroke=\"#c9d1d9\" fill=\"none\" d=\"M%d.5 %dV%d\"/>\n",
		bars, top, row);
}

void bench_plot(const struct bench *bench, FILE *to)
{
	int panel_height = TITLE + (int)count_measured(bench) * ROW + PANEL_GAP;
	int height = HEAD + (int)(N_PANELS + 1) / 2 * panel_height;

	fprintf(to, head, WIDTH, height, WIDTH, height);
	fputs("<title>snapdrv bench</title>\n", to);
	fprintf(to,
		"<text class=\"text\" fill=\"#1f2328\" font-size=\"16\" font-weight=\"bold\" "
		"x=\"%d\" y=\"28\">snapdrv bench: ",
		MARGIN);
	put_name(to, show_reference(bench->image ? bench->image : "nothing measured"));
	fprintf(to, "</text>\n<text class=\"quiet\" fill=\"#59636e\" x=\"%d\" y=\"47\">", MARGIN);
	if (bench->runs > 1)
		fprintf(to, "Bars: medians of %llu runs. Lines: minimum to maximum. ",
			(unsigned long long)bench->runs);
	fputs("Shorter is better; * the best.</text>\n", to);
	for (size_t i = 0; i < N_PANELS; i++)
		put_panel(to, bench, &panels[i], MARGIN + (int)(i % 2) * (PANEL_WIDTH + PANEL_GAP),
			  HEAD + (int)(i / 2) * panel_height);
	fputs("</svg>\n", to);
}
