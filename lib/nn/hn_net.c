#include "hn_net.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hn_layer.h"
#include "hn_model.h"
#include "hn_task.h"

/* One item of the list: characters [at, end). */
struct item { const char *at, *end; unsigned number; };

static struct item trim(struct item it)
{
	while (it.at < it.end && isspace((unsigned char)*it.at))
		it.at++;
	while (it.end > it.at && isspace((unsigned char)it.end[-1]))
		it.end--;
	return it;
}

/* Next number behind `s`; numbers are apart by spaces or an x ("16x5"). */
static hn_status read_arg(const char **s, double *out)
{
	char *end;
	double v;

	while (**s == ' ' || **s == '\t')
		(*s)++;
	if (!isdigit((unsigned char)**s) && **s != '.' && **s != '-')
		return HN_EFORMAT;
	/* strtod would take 0x10, and "16x5" must not become that: x only follows a digit here. */
	if (**s == '0' && ((*s)[1] == 'x' || (*s)[1] == 'X'))
		return HN_EFORMAT;
	v = strtod(*s, &end);
	if (end == *s || !isfinite(v))
		return HN_EFORMAT;
	if (*end == 'x' && isdigit((unsigned char)end[1]))
		end++;
	else if (*end && *end != ' ' && *end != '\t')
		return HN_EFORMAT;
	*s = end;
	*out = v;
	return HN_OK;
}

static const char *skip_blank(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/* A word of the type's options, with its number. */
static hn_status read_option(struct hn_layer *l, const char **s)
{
	size_t n = 0;

	while (isalpha((unsigned char)(*s)[n]))
		n++;
	for (size_t i = 0; l->type->options && l->type->options[i].name; i++) {
		const struct hn_option *o = &l->type->options[i];

		if (strlen(o->name) != n || memcmp(o->name, *s, n) != 0)
			continue;
		*s += n;
		l->opt[i] = 1;
		return o->number ? read_arg(s, &l->opt[i]) : HN_OK;
	}
	return HN_EFORMAT;
}

/* Numbers, then options. */
static hn_status read_args(struct hn_layer *l, const char *s)
{
	hn_status rc = HN_OK;

	for (size_t i = 0; l->type->options && l->type->options[i].name; i++)
		l->opt[i] = l->type->options[i].normal;
	for (s = skip_blank(s); *s && !rc && !isalpha((unsigned char)*s); s = skip_blank(s)) {
		rc = l->n_args < HN_LAYER_ARGS_MAX ? read_arg(&s, &l->arg[l->n_args]) : HN_EFORMAT;
		l->n_args++;
	}
	for (; *s && !rc; s = skip_blank(s))
		rc = read_option(l, &s);
	return rc;
}

/* "known layers: dense, relu, tanh" */
static void known_layers(char *out, size_t cap)
{
	size_t at = 0;

	for (size_t i = 0; hn_layers[i] && at < cap; i++) {
		const int n = snprintf(out + at, cap - at, "%s%s", i ? ", " : "", hn_layers[i]->name);

		at += n > 0 ? (size_t)n : 0;
	}
}

/* Name and numbers of one item. */
static hn_status parse_item(struct hn_layer *l, const struct item *it, struct hn_err *err)
{
	const size_t n = (size_t)(it->end - it->at);
	size_t name = 0;
	char known[240];

	if (n == 0)
		return hn_fail(err, HN_EFORMAT, "layer %u: nothing between the commas", it->number);
	if (n >= sizeof l->text)
		return hn_fail(err, HN_EFORMAT, "layer %u: longer than %zu characters", it->number,
		               sizeof l->text - 1);
	memcpy(l->text, it->at, n);
	for (size_t i = 0; i < n; i++)
		if (!isprint((unsigned char)l->text[i]))
			return hn_fail(err, HN_EFORMAT, "layer %u: unprintable character", it->number);
	while (isalnum((unsigned char)l->text[name]) || l->text[name] == '_')
		name++;
	l->type = hn_layer_find(l->text, name);
	if (!l->type) {
		known_layers(known, sizeof known);
		return hn_fail(err, HN_EFORMAT, "layer %u '%s': no such layer; there are: %s",
		               it->number, l->text, known);
	}
	if (read_args(l, l->text + name) || l->n_args < l->type->args_min ||
	    l->n_args > l->type->args_max)
		return hn_fail(err, HN_EFORMAT, "layer %u '%s': expected '%s'", it->number, l->text,
		               l->type->usage);
	return HN_OK;
}

hn_status hn_net_append(struct hn_net *net, struct hn_layer *l, struct hn_err *err)
{
	struct hn_err why = { HN_OK, "" };
	const unsigned number = l->number;
	hn_status rc;

	if (net->n_layers == HN_NET_LAYERS_MAX)
		return hn_fail(err, HN_ERANGE, "layer %u: at most %d layers", number, HN_NET_LAYERS_MAX);
	l->in = net->n_layers ? net->layer[net->n_layers - 1].out : net->in;
	l->w_at = net->n_weights;
	rc = l->type->shape(l, &why);
	if (rc)
		return hn_fail(err, rc, "layer %u '%s' on input (%u, %u): %s", number, l->text,
		               l->in.len, l->in.ch, why.text);
	if (hn_size(l->out) > HN_NET_VALUES_MAX || hn_size(l->out) == 0)
		return hn_fail(err, HN_ERANGE, "layer %u '%s': (%u, %u) to (%u, %u): 1 to %d values "
		               "allowed", number, l->text, l->in.len, l->in.ch, l->out.len, l->out.ch,
		               HN_NET_VALUES_MAX);
	if (l->n_w > HN_NET_WEIGHTS_MAX - net->n_weights)
		return hn_fail(err, HN_ERANGE, "layer %u '%s': (%u, %u) to (%u, %u): the net would have "
		               "more than %d weights", number, l->text, l->in.len, l->in.ch, l->out.len,
		               l->out.ch, HN_NET_WEIGHTS_MAX);
	net->n_weights += l->n_w;
	net->layer[net->n_layers++] = *l;
	return HN_OK;
}

/* The shape of the first tensor and that of the second must be the same. */
static hn_status check_second(const struct hn_net *net, const struct hn_layer *l,
                              struct hn_err *err)
{
	const unsigned n = net->n_layers;
	const struct hn_layer *last = n ? &net->layer[n - 1] : NULL;
	const struct hn_layer *other = l->from ? &net->layer[l->from - 1] : NULL;
	const struct hn_shape a = last ? last->out : net->in, b = other ? other->out : net->in;

	if (a.len == b.len && a.ch == b.ch)
		return HN_OK;
	return hn_fail(err, HN_ERANGE, "layer %u '%s': (%u, %u) of layer %u '%s' and (%u, %u) of layer "
	               "%u '%s' are not the same shape", l->number, l->text, a.len, a.ch,
	               last ? last->number : 0, last ? last->text : "input", b.len, b.ch,
	               other ? other->number : 0, other ? other->text : "input");
}

/* arg[0] counts items back from the one before; item 0 is the input of the net. */
static hn_status find_second(const struct hn_net *net, struct hn_layer *l, struct hn_err *err)
{
	const double back = l->arg[0], most = l->number - 1.0;
	unsigned n = net->n_layers;

	if (!(back >= 1 && back <= most) || back != floor(back))
		return hn_fail(err, HN_ERANGE, "layer %u '%s': goes back %g layers, 1 to %g possible",
		               l->number, l->text, back, most);
	while (n > 0 && net->layer[n - 1].number > most - back)
		n--;
	l->from = (uint8_t)n;
	return check_second(net, l, err);
}

static hn_status add_layer(struct hn_net *net, const struct item *it, struct hn_err *err)
{
	struct hn_layer l = { .number = (uint8_t)it->number }, part;
	hn_status rc;

	rc = parse_item(&l, it, err);
	if (rc)
		return rc;
	assert(l.type);
	if (l.type->two_inputs)
		rc = find_second(net, &l, err);
	if (!l.type->part)
		return rc ? rc : hn_net_append(net, &l, err);
	part = l;
	for (unsigned i = 0; !rc && l.type->part(&l, i, &part); i++)
		rc = hn_net_append(net, &part, err);
	return rc;
}

/* Does the last layer fit the task? */
static hn_status check_end(struct hn_net *net, const struct hn_net_io *io, struct hn_err *err)
{
	const struct hn_layer *l = &net->layer[net->n_layers - 1];
	const size_t out = hn_size(l->out);
	const size_t want = io->task == HN_AUTOENCODE ? hn_size(net->in) : io->out_n;

	if (want && out != want)
		return hn_fail(err, HN_ERANGE, "layer %u '%s': (%u, %u) to (%u, %u), but %s needs %zu "
		               "outputs", net->n_layers, l->text, l->in.len, l->in.ch, l->out.len,
		               l->out.ch, hn_task_name(io->task), want);
	if (out > HN_NET_OUT_MAX)
		return hn_fail(err, HN_ERANGE, "layer %u '%s': %zu outputs, at most %d", net->n_layers,
		               l->text, out, HN_NET_OUT_MAX);
	if (io->task == HN_CLASSIFY && (out < 2 || out > HN_CLASSES_MAX))
		return hn_fail(err, HN_ERANGE, "layer %u '%s': %zu outputs, a classifier has 2 to %d",
		               net->n_layers, l->text, out, HN_CLASSES_MAX);
	net->out_n = (uint16_t)out;
	return HN_OK;
}

static hn_status parse_items(struct hn_net *net, struct item all, struct hn_err *err)
{
	const char *const end = all.end;
	hn_status rc = HN_OK;

	while (!rc) {
		const char *comma = memchr(all.at, ',', (size_t)(end - all.at));
		struct item it = { all.at, comma ? comma : end, all.number++ };

		it = trim(it);
		/* The loss of a classifier contains the softmax; the device takes the largest logit. */
		if (!comma && net->task == HN_CLASSIFY && net->n_layers &&
		    it.end - it.at == 7 && memcmp(it.at, "softmax", 7) == 0)
			break;
		rc = add_layer(net, &it, err);
		if (!comma)
			break;
		all.at = comma + 1;
	}
	return rc;
}

hn_status hn_net_parse(struct hn_net *net, const char *text, const struct hn_net_io *io,
                       struct hn_err *err)
{
	const size_t n = strnlen(text, HN_NET_TEXT_MAX);
	struct hn_net made = { .task = io->task, .in = { io->in_len, io->in_ch } };
	struct item all = trim((struct item){ text, text + n, 1 });
	hn_status rc;

	if (n == HN_NET_TEXT_MAX)
		return hn_fail(err, HN_ERANGE, "network text longer than %d characters",
		               HN_NET_TEXT_MAX - 1);
	if ((unsigned)io->task >= HN_TASKS)
		return hn_fail(err, HN_EINVAL, "no such task: %u", (unsigned)io->task);
	if (hn_size(made.in) == 0 || hn_size(made.in) > HN_NET_VALUES_MAX)
		return hn_fail(err, HN_ERANGE, "input (%u, %u): 1 to %d values allowed", io->in_len,
		               io->in_ch, HN_NET_VALUES_MAX);
	if (all.at < all.end && *all.at == '[') {
		if (all.end[-1] != ']')
			return hn_fail(err, HN_EFORMAT, "network: '[' without ']'");
		all = trim((struct item){ all.at + 1, all.end - 1, 1 });
	}
	if (all.at == all.end)
		return hn_fail(err, HN_EFORMAT, "network: no layers");
	rc = parse_items(&made, all, err);
	if (!rc)
		rc = check_end(&made, io, err);
	if (!rc)
		*net = made;
	return rc;
}

void hn_net_init(const struct hn_net *net, uint64_t seed, float *weights)
{
	struct hn_rng rng;

	hn_rng_seed(&rng, seed);
	for (unsigned i = 0; i < net->n_layers; i++) {
		const struct hn_layer *l = &net->layer[i];
		const bool he = i + 1 < net->n_layers && net->layer[i + 1].type->rectifies;

		if (l->type->init)
			l->type->init(l, he ? 2.0 : 1.0, &rng, weights + l->w_at);
	}
}

uint64_t hn_net_macs(const struct hn_net *net)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < net->n_layers; i++)
		if (net->layer[i].type->macs)
			n += net->layer[i].type->macs(&net->layer[i]);
	return n;
}
