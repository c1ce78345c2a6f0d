/* SPDX-License-Identifier: Apache-2.0 */
/* Telling the caller what happens, one event at a time, and hearing that it is to stop. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/error.h"
#include "build/state.h"
#include "image/times.h"

static void tell(struct build *build, struct snapdrv_build_event *event)
{
	if (!build->options->event)
		return;
	build->options->event(build->options->event_arg, event);
}

static struct snapdrv_build_event event_of(const struct report *report, int kind)
{
	return (struct snapdrv_build_event){.kind = kind,
					    .id = report->id,
					    .stage = report->stage->label,
					    .step = report->step,
					    .n_steps = report->stage->n_steps,
					    .line = report->line,
					    .text = report->text};
}

/* A new step, with its number; the lock of the events is held. */
static struct report next(struct stage *stage, unsigned line, const char *text)
{
	return (struct report){.stage = stage,
			       .id = ++stage->build->n_events,
			       .step = ++stage->step,
			       .line = line,
			       .text = text,
			       .start_ns = times_now_ns(),
			       .is_open = 1};
}

/* One more step is told of, as what it begins with. */
static struct report announce(struct stage *stage, unsigned line, const char *text,
			      enum snapdrv_build_kind kind)
{
	struct build *build = stage->build;
	struct snapdrv_build_event event;
	struct report report;

	pthread_mutex_lock(&build->event_lock);
	report = next(stage, line, text);
	event = event_of(&report, kind);
	tell(build, &event);
	pthread_mutex_unlock(&build->event_lock);
	return report;
}

struct report report_begin(struct stage *stage, unsigned line, const char *text)
{
	return announce(stage, line, text, SNAPDRV_BUILD_STARTED);
}

/* About a step that was told of, or about none. */
static void tell_locked(struct build *build, struct snapdrv_build_event *event)
{
	pthread_mutex_lock(&build->event_lock);
	tell(build, event);
	pthread_mutex_unlock(&build->event_lock);
}

void report_output(const struct report *report, const char *data, size_t size)
{
	struct build *build = report->stage->build;
	struct snapdrv_build_event event = event_of(report, SNAPDRV_BUILD_OUTPUT);

	event.data = data;
	event.size = size;
	tell_locked(build, &event);
}

void report_end(struct report *report, int ret)
{
	struct build *build = report->stage->build;
	struct snapdrv_build_event event =
		event_of(report, ret ? SNAPDRV_BUILD_STOPPED : SNAPDRV_BUILD_DONE);

	if (!report->is_open)
		return;
	report->is_open = 0;
	event.duration_ns = times_now_ns() - report->start_ns;
	tell_locked(build, &event);
}

void report_cached(struct stage *stage, unsigned line, const char *text)
{
	announce(stage, line, text, SNAPDRV_BUILD_CACHED);
}

void report_warning(struct build *build, const char *text)
{
	struct snapdrv_build_event event = {.kind = SNAPDRV_BUILD_WARNING,
					    .stage = "",
					    .text = "",
					    .data = text,
					    .size = strlen(text)};

	tell_locked(build, &event);
}

int build_is_stopped(struct build *build, struct snapdrv_error *err)
{
	struct pollfd polled[] = {{.fd = build->stop_fd, .events = POLLIN},
				  {.fd = build->options->cancel_fd, .events = POLLIN}};

	return poll(polled, 2, 0) > 0 ? fail(err, SNAPDRV_FAILED, ECANCELED, "cancelled") : 0;
}
