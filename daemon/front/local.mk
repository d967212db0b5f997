# daemon/front
