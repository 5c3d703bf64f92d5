# hd_chunk.c: the patch is applied to the slot that is being filled
s/d->active + HD_PACKAGE_HEADER, p, n,/d->spare + HD_PACKAGE_HEADER, p, n,/
