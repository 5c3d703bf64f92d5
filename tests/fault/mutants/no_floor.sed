# hd_stage.c: a confirmation does not raise the floor
s/note(d, HD_REC_CONFIRMED, d->slots.active, o.version)/note(d, HD_REC_CONFIRMED, d->slots.active, o.version ? d->slots.floor : 0)/
