# hd_stage.c: after a confirmation the slot in service is erased
s/^\tif (rc == HD_OK)$/\tif (rc == HD_OK)\n\t\td->spare_at = d->flash->slot_at[d->slots.active];\n\tif (rc == HD_OK)/
