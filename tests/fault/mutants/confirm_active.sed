# hd_stage.c: after a confirmation the slot in service is erased
s/^\t\td->erase_to = d->flash->slot_bytes;.*/&\n\t\td->spare_at = d->flash->slot_at[d->slots.active];/
