# hd_slots.c: a record is 16 bytes whatever the write unit
s/return f->unit > RECORD ? f->unit : RECORD;/return f->unit ? RECORD : 0;/
