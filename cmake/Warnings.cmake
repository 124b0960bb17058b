# The strict set, for our own sources only; generated ones are compiled without it.
set(REDOUBT_WARNINGS
    -Wall -Wextra -Werror -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wformat=2 -Wvla -Wimplicit-fallthrough -Wpointer-arith -Wwrite-strings -Wundef
    -Wcast-qual -Wswitch-enum -Wno-unused-parameter)
# -Wno-unused-parameter: callbacks of vendors and of tables have fixed signatures.
# -Wswitch-enum is about our own enums; libevent's and OpenSSL's are not switched over.
