#include "hn_loss.h"
#include "hn_task.h"

#include <string.h>

extern const struct hn_loss_type hn_loss_cross_entropy, hn_loss_mse, hn_loss_huber,
	hn_loss_binary_cross_entropy;

const struct hn_loss_type *const hn_losses[] = {
	&hn_loss_cross_entropy,
	&hn_loss_mse,
	&hn_loss_huber,
	&hn_loss_binary_cross_entropy,
	NULL
};

const struct hn_loss_type *hn_loss_find(const char *name)
{
	for (size_t i = 0; hn_losses[i]; i++)
		if (strcmp(hn_losses[i]->name, name) == 0)
			return hn_losses[i];
	return NULL;
}

const struct hn_loss_type *hn_loss_of(enum hn_task task)
{
	return hn_tasks[task].loss;
}
