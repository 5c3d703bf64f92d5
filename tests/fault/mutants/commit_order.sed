# hd_stage.c: the journal names the slot before its header is there
s/^\tif (hd_flash_write(d->flash, d->spare_at, hd_staged(d), HD_PACKAGE_HEADER) != HD_OK)/\tif (note(d, HD_REC_TRIAL, spare(d), d->slots.floor) == HD_OK\n\t    \&\& hd_flash_write(d->flash, d->flash->slot_at[d->slots.active], hd_staged(d), HD_PACKAGE_HEADER) == HD_OK)\n\t\treturn HD_OK;\n\tif (true)/
