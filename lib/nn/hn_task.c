#include "hn_task.h"

#include <string.h>

extern const struct hn_loss_type hn_loss_cross_entropy, hn_loss_mse;

/* In this order: hd_net_answer says 1 above the limit. */
static const char *const anomaly_answers[] = { "normal", "anomaly", NULL };

const struct hn_task_type hn_tasks[HN_TASKS] = {
	[HN_CLASSIFY] = { .name = "classify", .trains = true, .labels = true, .classes = true,
		.loss = &hn_loss_cross_entropy, .measure = "accuracy", .news = "labels",
		.served = "labelled predictions are right" },
	[HN_REGRESS] = { .name = "regress", .labels = true, .loss = &hn_loss_mse, .measure = "skill",
		.news = "labels", .served = "labelled predictions are right" },
	[HN_AUTOENCODE] = { .name = "autoencode", .trains = true, .loss = &hn_loss_mse,
		.answers = anomaly_answers, .measure = "skill", .news = "windows",
		.served = "windows are normal" },
	[HN_FORECAST] = { .name = "forecast", .loss = &hn_loss_mse, .measure = "skill",
		.news = "windows", .served = "predictions are right" },
};

const char *hn_task_name(enum hn_task task)
{
	return (unsigned)task < HN_TASKS ? hn_tasks[task].name : "unknown";
}

hn_status hn_task_find(const char *name, enum hn_task *task)
{
	for (unsigned i = 0; i < HN_TASKS; i++)
		if (strcmp(name, hn_tasks[i].name) == 0) {
			*task = (enum hn_task)i;
			return HN_OK;
		}
	return HN_ENOENT;
}

uint16_t hn_task_outputs(enum hn_task task, int classes)
{
	return (uint16_t)(hn_tasks[task].classes ? classes : 0);
}
