/* `redoubt node ...`: the membership of a region's group for its operators. */
#ifndef SERVER_NODE_CLI_H
#define SERVER_NODE_CLI_H

enum { NODE_CLI_USAGE = 2 };

/* `verb` is the word behind "node"; argv[0] is passed over. The exit status; NODE_CLI_USAGE: say
 * how it is called. */
int node_cli(const char *verb, int argc, char **argv);

#endif
