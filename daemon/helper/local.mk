# daemon/helper
