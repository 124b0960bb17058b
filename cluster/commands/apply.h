/* The apply function of every command, one a file of this folder, declared from the one table. */
#ifndef CLUSTER_COMMANDS_APPLY_H
#define CLUSTER_COMMANDS_APPLY_H

#include "cluster/command.h"

#define X(number, symbol, type, level, sentence) command_apply_fn type##_apply;
#include "cluster/command.def"
#undef X

#endif
