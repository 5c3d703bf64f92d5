# hd_stage.c: the spare slot is not erased before it is filled
s/^\td->erase_to = HD_PACKAGE_HEADER + payload_len;/\td->erase_to = payload_len - payload_len;/
