#include "deploy_package.h"

#include <stdlib.h>
#include <string.h>

#include "hd_check.h"

/* Build into fresh memory: out->payload is the caller's to free. */
static hn_status build(const struct hn_package_spec *s, struct hn_package_out *out)
{
	struct hd_net net;
	hn_status rc = HN_ENOMEM;

	*out = (struct hn_package_out){ .cap = 0 };
	if (hd_net_check(&net, s->image, s->image_len) != HD_OK)
		return HN_EFORMAT;
	out->cap = hn_package_payload_size(s);
	out->arena_cap = net.arena;
	out->payload = malloc(out->cap);
	out->arena = malloc(net.arena ? net.arena : 4);
	if (out->payload && out->arena)
		rc = hn_package_build(s, out);
	free(out->arena);
	if (rc != HN_OK) {
		free(out->payload);
		out->payload = NULL;
	}
	return rc;
}

static struct hn_peer_package view(const struct hn_package_spec *s, const uint8_t *header,
                                   const uint8_t *payload, size_t len)
{
	return (struct hn_peer_package){ .header = header, .payload = payload, .len = (uint32_t)len,
		.version = s->version, .model_version = s->model_version };
}

hn_status package_full(struct package *p, struct hn_package_spec *s, const struct hn_model *m)
{
	struct hn_package_out out;
	hn_status rc;

	s->image = m->image;
	s->image_len = m->image_len;
	rc = build(s, &out);
	if (rc != HN_OK)
		return rc;
	package_free(p);
	p->payload = out.payload;
	memcpy(p->header, out.header, sizeof p->header);
	p->full = view(s, p->header, p->payload, out.len);
	return HN_OK;
}

hn_status package_delta(struct package *p, const struct hn_package_spec *s,
                        const struct hn_model *base, const uint8_t *digest)
{
	struct hn_package_spec of = *s;
	struct hn_package_out full = { .payload = p->payload, .len = p->full.len };
	struct hn_package_out from, out = { .cap = 0 };
	struct hd_package head;
	hn_status rc;

	of.image = base->image;
	of.image_len = base->image_len;
	rc = build(&of, &from);
	if (rc != HN_OK)
		return rc;
	memcpy(full.header, p->header, sizeof full.header);
	out.cap = p->full.len - 1;       /* no larger than what it is to spare */
	out.payload = malloc(out.cap);
	if (!out.payload)
		rc = HN_ENOMEM;
	else if (hd_package_read(&head, from.header) != HD_OK || memcmp(head.digest, digest, 8) != 0)
		rc = HN_EINVAL;
	else
		rc = hn_package_delta(s, &from, &full, &out);
	free(from.payload);
	if (rc != HN_OK) {
		free(out.payload);
		return rc;
	}
	p->patch = out.payload;
	memcpy(p->patch_header, out.header, sizeof p->patch_header);
	p->delta = view(s, p->patch_header, p->patch, out.len);
	p->delta.full = &p->full;
	return HN_OK;
}

static void sign(struct hn_peer_package *k, uint8_t *signature, const struct signer *s)
{
	signer_sign(s, k->header, signature);
	k->more = signature;
	k->more_len = SIGNATURE_LEN;
}

void package_sign(struct package *p, const struct signer *s)
{
	sign(&p->full, p->signature, s);
	if (p->patch)
		sign(&p->delta, p->patch_signature, s);
}

const struct hn_peer_package *package_best(const struct package *p)
{
	return p->patch ? &p->delta : &p->full;
}

void package_free(struct package *p)
{
	free(p->payload);
	free(p->patch);
	memset(p, 0, sizeof *p);
}
