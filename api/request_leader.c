/* The steps of a write at a node that does not lead: find who does, and go there, or go on here
 * when it is this node after all. */
#include "api/request_state.h"

enum {
    /* Who was told to be the leader may not know it yet, or be gone without anybody knowing that. A
       random part keeps many requests from coming back together. */
    PAUSE_MS = 20,
    PAUSE_MORE_MS = 31,
};

static void pause_over(void *arg) {
    request_resume(arg);
}

static enum step_result pause_search(struct request *request) {
    uint8_t more;

    world_random(request->service->world, &more, sizeof(more));
    request->step = AT_PAUSE;
    request_suspend(request);
    if (worker_timer_start(request->worker, PAUSE_MS + more % PAUSE_MORE_MS, pause_over, request) ==
        NULL) {
        request_unsuspend(request);
        return request_fail(request, ERR_NO_MEMORY);
    }
    return STEP_SUSPEND;
}

/* Only as long as nothing has happened, so what was tried can be forgotten. */
enum step_result step_find_leader(struct request *request) {
    uint64_t now_ms = world_mono_ms(request->service->world);

    proposal_free(request->proposal);
    request->proposal = NULL;
    peer_call_free(request->call);
    request->call = NULL;
    if (request->from == FROM_NODE) {
        return request_fail(request, ERR_NOT_LEADER); /* it asks again itself */
    }
    if (request->search_until_ms == 0) {
        request->search_until_ms = now_ms + LIMIT_ELECTION_WAIT_MS;
        return request_next(request, AT_ASK_LEADER);
    }
    return now_ms >= request->search_until_ms ? request_unavailable(request)
                                              : pause_search(request);
}

enum step_result step_pause(struct request *request) {
    return request_next(request, AT_ASK_LEADER);
}

enum step_result step_ask_leader(struct request *request) {
    return request_ask(request, TICKET_LEADER, request->search_until_ms, AT_AWAIT_LEADER);
}

enum step_result step_await_leader(struct request *request) {
    const struct ticket *ticket = &request->ticket;

    if (ticket->code != OK) {
        return request_unanswered(request);
    }
    if (ticket->is_self) {
        return request_next(request, request->op->class == OP_WRITE ? AT_PREPARE : AT_BARRIER);
    }
    request->leader = ticket->leader;
    return request_next(request, AT_FORWARD);
}
