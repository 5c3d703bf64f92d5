#include "hn_optim.h"

#include <string.h>

extern const struct hn_optim_type hn_optim_adam, hn_optim_adamw, hn_optim_sgd;

const struct hn_optim_type *const hn_optims[] = {
	&hn_optim_adam,
	&hn_optim_adamw,
	&hn_optim_sgd,
	NULL
};

const struct hn_optim_type *hn_optim_find(const char *name)
{
	for (size_t i = 0; hn_optims[i]; i++)
		if (strcmp(hn_optims[i]->name, name) == 0)
			return hn_optims[i];
	return NULL;
}
