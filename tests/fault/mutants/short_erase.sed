# hd_stage.c: one sector too few of the spare slot is erased
s/^\td->erase_to = HD_PACKAGE_HEADER + payload_len;/\td->erase_to = HD_PACKAGE_HEADER + payload_len - d->flash->sector;/
