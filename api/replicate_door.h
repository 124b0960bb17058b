/* Batches of other regions: POST /v1/replicate by a node of the region itself, at any node here,
 * and POST /v1/replicate/for?region=NAME by a node of this region that hands such a batch to the
 * leader. Both answer the exchange. Worker's thread. */
#ifndef API_REPLICATE_DOOR_H
#define API_REPLICATE_DOOR_H

#include "api/request.h"

/* The region of the certificate speaks for itself. Not the leader: the leader's answer is passed
 * on. */
void replicate_handle(struct exchange *exchange, const struct service *service);
/* NAME must be one of our peers: whose certificate it was, the node that asks has seen. Not the
 * leader: PEER_MISDIRECTED, it goes no further. */
void replicate_for_handle(struct exchange *exchange, const struct service *service);

#endif
