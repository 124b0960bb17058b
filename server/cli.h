/* Subcommands and their arguments: one table for dispatch and for the help text. */
#ifndef SERVER_CLI_H
#define SERVER_CLI_H

/* Returns the exit status: 0, 1 for a failure, 2 for wrong usage. */
int cli_run(int argc, char **argv);

#endif
