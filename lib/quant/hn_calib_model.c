/* Grids in a version's blob and back. */
#include "hn_quant.h"

hn_status hn_calib_of(const struct hn_model *m, const struct hn_net *net, struct hn_calib *calib)
{
	struct hn_calib c = { .grid = { { 0, 0 } } };

	if (m->n_grids == 0)
		return HN_ENOENT;
	if (m->n_grids != net->n_layers + 1)
		return HN_EINVAL;
	for (unsigned i = 0; i < m->n_grids; i++) {
		const float scale = m->grid_scale[i];
		const int8_t zp = m->grid_zp[i];

		c.grid[i] = (struct hn_grid){ scale, zp };
		c.lo[i] = scale * (float)(-128 - zp);
		c.hi[i] = scale * (float)(127 - zp);
	}
	*calib = c;
	return HN_OK;
}

void hn_calib_keep(const struct hn_calib *calib, const struct hn_net *net, struct hn_model *m)
{
	m->n_grids = (uint8_t)(net->n_layers + 1);
	for (unsigned i = 0; i < m->n_grids; i++) {
		m->grid_scale[i] = calib->grid[i].scale;
		m->grid_zp[i] = calib->grid[i].zp;
	}
	m->in_scale = calib->grid[0].scale;
	m->in_zp = calib->grid[0].zp;
	m->out_scale = calib->grid[net->n_layers].scale;
	m->out_zp = calib->grid[net->n_layers].zp;
}
