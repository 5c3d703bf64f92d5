/* hn_onnx_attr.h - private to the .onnx reader: attributes of a node. */
#ifndef HN_ONNX_ATTR_H
#define HN_ONNX_ATTR_H

#include "hn_graph.h"
#include "hn_pb.h"

enum { HN_ONNX_INTS_MAX = HN_GRAPH_LIST_MAX };

/* One attribute, whatever its kind. */
struct hn_onnx_attr {
	struct hn_text name, s;
	float f;
	int64_t i;
	struct hn_pb tensor;
	int32_t ints[HN_ONNX_INTS_MAX];
	uint8_t n;
};

/* False: malformed. */
bool hn_onnx_attr_read(struct hn_pb m, struct hn_onnx_attr *a);

/* Put it into the node; one that says nothing to a layer is left out.  False: it cannot be read. */
bool hn_onnx_attr_take(struct hn_gnode *n, const struct hn_onnx_attr *a);

/* The numbers of a repeated field: one varint an item, or a packed list.  False: malformed, or more
 * than `max` in all. */
struct hn_onnx_list { int32_t *v; uint8_t *n; unsigned max; };
bool hn_onnx_numbers(struct hn_onnx_list *l, const struct hn_pb_item *i);
#endif
