/* t_conf.h - source drivers that exist in tests only, and files with the messages they get. */
#ifndef T_CONF_H
#define T_CONF_H

#include "conf.h"

/* "link" (path required, baud, psk secret), "line" (listen, labels) and "bare" without rows. */
extern const struct conf_driver *const t_drivers[];

struct t_link { char path[CONF_TEXT_MAX]; int baud; char psk[64]; };
struct t_line { char listen[CONF_TEXT_MAX]; int n_tags; char tags[4][HN_NAME_MAX]; double wait_s; };

/* A file without errors that uses every list. */
extern const char t_conf_good[];

struct t_conf_case { const char *name, *yaml, *message; };
extern const struct t_conf_case t_conf_cases[], t_conf_items[];  /* ended by name == NULL      */
#endif
