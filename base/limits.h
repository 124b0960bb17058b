/* Every bound of the program, each with its reason. Sizes in bytes, times in milliseconds, unless
 * the name says otherwise. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

enum {
    /* From the service (AWS_BEHAVIOUR 2.3 and 6). Those with a _MOST can be raised to that by the
       operator (base/quotas.def); every buffer and record has room for it. */
    LIMIT_SECRETS = 500000,
    LIMIT_SECRETS_MOST = 100000000,
    LIMIT_NAME = 512,
    LIMIT_SECRET_ID = 2048,
    LIMIT_TOKEN = 64,
    LIMIT_TOKEN_MIN = 32,
    LIMIT_VALUE = 65536,
    LIMIT_VALUE_MOST = 131072,
    LIMIT_DESCRIPTION = 2048,
    LIMIT_STAGE = 256,
    LIMIT_STAGES_PER_SECRET = 20, /* also the most that one call may name */
    LIMIT_STAGES_MOST = 100,
    LIMIT_TAGS = 50,
    LIMIT_TAGS_MOST = 200,
    LIMIT_TAG_KEY = 128,
    LIMIT_TAG_VALUE = 256,
    LIMIT_REGION_NAME = 128,
    LIMIT_KMS_KEY_ID = 2048,
    LIMIT_ALIAS = 256, /* the service's bound for a KMS alias; holds a key id (36) as well */
    LIMIT_LIST_PAGE = 100,
    /* Where a page of ListSecrets ends before it is full, with a NextToken: soft, one entry may be
       larger; and secrets passed over that are not to be shown, so that no read takes long. */
    LIMIT_LIST_BYTES = 512 * 1024,
    LIMIT_LIST_SCAN = 5000,
    /* Secrets that the filters of a list leave, held in memory (some 100 bytes each) while they are
       sorted by another order than that of creation; so many take a tenth of a second, and only
       where a walk along that order does not meet them. */
    LIMIT_LIST_CANDIDATES = 50000,
    /* Rows (some 0.2 us each) that a list steps over in search of what its filters leave, before it
       tries another way, or shows where it is by secrets that they do not leave, for
       LIMIT_LIST_SCAN to count. */
    LIMIT_LIST_EFFORT = 100000,
    LIMIT_FILTERS = 10, /* from the service: filters of a call, and values of a filter */
    LIMIT_FILTER_VALUE = 512,
    LIMIT_BATCH_GET = 20,  /* from the service: secrets that one call reads */
    LIMIT_PASSWORD = 4096, /* from the service: length, and characters excluded */
    LIMIT_ROTATION_DAYS = 1000,
    LIMIT_SCHEDULE = 256,
    LIMIT_FUNCTION_ARN = 2048,
    LIMIT_ROLE_ARN = 2048,
    LIMIT_EXTERNAL_KEY = 256,
    LIMIT_EXTERNAL_VALUE = 2048,
    LIMIT_EXTERNAL_ITEMS = 50, /* the service tells no bound; a record needs one */
    LIMIT_POLICY = 20480,      /* from the service; in characters */
    LIMIT_POLICY_MOST = 65536,
    /* A policy as it is compiled: 65536 characters hold some 16000 values of a hundred bytes each.
     */
    LIMIT_POLICY_COMPILED = 8 * 1024 * 1024,
    LIMIT_TYPE = 256,
    LIMIT_NEXT_TOKEN = 4096,
    LIMIT_ACCOUNT = 12,
    LIMIT_ARN_SUFFIX = 6,

    /* Versions of one secret: above the first, unlabelled ones older than a day are pruned, oldest
     * first; at the second, writes are refused. 400 of the largest values still fit into one
     * message between regions. */
    LIMIT_VERSIONS_KEPT = 100,
    LIMIT_VERSIONS_KEPT_MOST = 300,
    LIMIT_VERSIONS = 400,
    /* Ciphertexts of a value under former keys, beside the present one: a record stays below 1 MiB
       however often a secret's key changes. */
    LIMIT_FORMER_KEYS = 4,
    /* Regions that one secret can be replicated to: a page of Describe stays small. */
    LIMIT_REPLICAS = 32,

    /* The HTTP door. LIMIT_VALUE_MOST bytes of value may be 6 bytes a byte as JSON escapes, and 4/3
       as base64; the rest is metadata. */
    LIMIT_HTTP_HEAD = 16 * 1024,
    LIMIT_HTTP_HEADERS = 64,
    LIMIT_HTTP_BODY = 2 * 1024 * 1024,
    LIMIT_HTTP_TARGET = 8 * 1024,
    /* Bodies that one worker holds for one listener: who has shown no signature yet may fill all
       connections with the largest ones. Beyond, a body is refused with a 503. */
    LIMIT_HTTP_BODIES = 256 * 1024 * 1024,
    /* Extensions and trailers of one chunked body, together: no client of ours sends any. */
    LIMIT_HTTP_CHUNK_EXTRA = 4096,
    LIMIT_HTTP_CONNECTIONS = 4096, /* per worker and listener: clients cannot shut the peers out */
    /* Of these, per worker, of clients without a certificate at the peers' listener: nodes that
       want to join are few, and the others shall find room. */
    LIMIT_HTTP_ANONYMOUS = 32,
    LIMIT_QUERY_PARAMS = 256, /* of a signed request: sorting them stays cheap */
    LIMIT_FORM_PARAMS = 1024, /* of query and form body; 200 tags of two parameters fit */
    LIMIT_HTTP_HEAD_MS = 10 * 1000,
    LIMIT_HTTP_BODY_MS = 30 * 1000,
    LIMIT_HTTP_IDLE_MS = 120 * 1000,
    LIMIT_HTTP_WRITE_MS = 30 * 1000,
    /* A refused client may still be sending: so long and so much is read and dropped, so that our
       answer is not lost to a reset. */
    LIMIT_HTTP_LINGER_MS = 1000,
    LIMIT_HTTP_LINGER_BYTES = 4 * 1024 * 1024,
    LIMIT_JSON_DEPTH = 16, /* the deepest shape of the API has 4 */
    /* Values in one JSON body: 2 MiB of ",[]" would unfold into 100 MiB; the largest shape with all
       of its lists full has some 6000. */
    LIMIT_JSON_VALUES = 16 * 1024,
    /* Elements of a list to which the API sets no bound; the service's own limits (50 tags) answer
       far below with their own sentence. */
    LIMIT_LIST_ELEMENTS = 1024,
    LIMIT_ECHO = 512, /* bytes of a refused value that an error text repeats */
    /* What one request decodes to and works with, and its reply: 20 of the largest values
       that are all escapes (6 bytes a byte), and 1 MiB; a page of secrets is far smaller. */
    LIMIT_REQUEST_ARENA = 16 * 1024 * 1024,
    LIMIT_REPLY_BODY = 16 * 1024 * 1024,
    /* Accounts whose request rates a node remembers (150 bytes each), and the highest rate. */
    LIMIT_THROTTLE_ACCOUNTS = 1024,
    LIMIT_THROTTLE_RATE = 1000000,
    /* Commands that one request may need before its own (a missing key). */
    LIMIT_PRELUDES = 2,

    /* Between regions. */
    LIMIT_PEER_BODY = 64 * 1024 * 1024,
    /* What one message may become in memory when it is decoded: its values once, and the structures
       around them; a small message of empty items must not grow without end. */
    LIMIT_PEER_DECODE = 128 * 1024 * 1024,
    LIMIT_BATCH_ITEMS = 256,
    LIMIT_BATCH_BYTES = 1024 * 1024, /* soft: one item may be larger */
    LIMIT_BATCHES_IN_FLIGHT = 4,     /* per region */
    LIMIT_PEER_CALLS = 1024,         /* in flight or queued in one node */
    /* Of these, the most that may be there when a client's request is still forwarded: nobody here
       can check its signature, and such calls must not keep the shipper from its own, which are
       LIMIT_BATCHES_IN_FLIGHT for each of LIMIT_SHIP_ROWS. */
    LIMIT_PEER_CALLS_FORWARDED = 512,
    LIMIT_PEER_CONNECTIONS =
        32, /* to one region: a burst of handshakes stays short; more calls wait */
    LIMIT_PEER_CONNECT_MS = 2000,
    LIMIT_PEER_CALL_MS = 20 * 1000,
    LIMIT_PEERS = 64,
    /* Rows in the shipper's table: every peer, and as many unknown names being refused. */
    LIMIT_SHIP_ROWS = 2 * LIMIT_PEERS,
    /* A region that cannot be reached is tried again after the first, doubling up to the second, so
       that it is in sync soon after it comes back; one that refuses us needs someone to act. */
    LIMIT_SHIP_BACKOFF_MS_MIN = 50,
    LIMIT_SHIP_BACKOFF_MS_MAX = 2000,
    LIMIT_SHIP_REFUSED_MS = 10 * 1000,
    LIMIT_SHIP_SWEEP_MS = 5000, /* all outboxes are looked at so often without being told */

    /* Consensus. */
    LIMIT_PROPOSALS = 4096, /* waiting for the Raft thread */
    LIMIT_PROPOSAL_BYTES =
        256 * 1024 * 1024,            /* of all commands that are queued or not applied yet */
    LIMIT_COMMAND = 66 * 1024 * 1024, /* one command: an inbound batch at its largest */
    LIMIT_ENTRY_COMMANDS = 512,       /* commands that share one log entry */
    LIMIT_ENTRY_BYTES = 1024 * 1024,  /* soft: one command may be larger */
    LIMIT_REQUEST_MS =
        10 * 1000, /* a request waits so long for its commit, then the outcome is unknown */
    LIMIT_LOG_ENTRIES = 65536,          /* a snapshot is due when the log has more entries */
    LIMIT_LOG_BYTES = 64 * 1024 * 1024, /* or more bytes */
    LIMIT_LOG_TRAILING = 8192,          /* entries kept behind a snapshot for slow followers, */
    LIMIT_LOG_TRAILING_BYTES = 16 * 1024 * 1024, /* or as many as fit, but what may be in flight */
    /* While a follower fetches a snapshot, the log may grow to so many times the two bounds above:
       else it would need the next snapshot as soon as it has this one. */
    LIMIT_LOG_STRETCH = 4,
    LIMIT_UNCOMMITTED = 32 * 1024 * 1024, /* soft: entries of a leader that no majority has yet */
    LIMIT_ELECTION_WAIT_MS = 5000,        /* a request waits so long for a leader */
    LIMIT_ENTRIES_AHEAD = 4, /* full entries of a leader's clients that are on their way together */
    LIMIT_LINGER_US = 1000,  /* the next entry waits so long for those who shared the last */
    LIMIT_CHANGES = 16,      /* changes of the membership that wait for their turn */
    LIMIT_CHANGE_MS = 60 * 1000, /* and how long one may take */
    LIMIT_TICKETS = 16384,       /* reads and writes that wait for the Raft thread's word */
    LIMIT_APPEND_BYTES = 4 * 1024 * 1024, /* soft: entries in one message to a follower; one entry
                                             may be larger */
    LIMIT_APPEND_PROBE = 64 * 1024, /* soft: the same, while it is not known what fits there */
    LIMIT_MANIFEST = 1024 * 1024,   /* names, sizes and digests of a checkpoint's files */
    /* Permissions to join that have not expired: a region has few nodes. And how long one holds:
       what lies around longer will be found by somebody else. */
    LIMIT_JOIN_TOKENS = 64,
    LIMIT_JOIN_TOKEN_S = 7 * 24 * 60 * 60,
    /* What an administrator asks for waits so long: a new voter has to catch up first. And what is
       sent for it: the largest is a request for a certificate, of some 500 bytes. */
    LIMIT_ADMIN_MS = 60 * 1000,
    LIMIT_ADMIN_BODY = 16 * 1024,
    LIMIT_ADDRESS = 256, /* of a node, both doors: see cluster/member.h */
    /* Between nodes. A queue holds what fits, and at least one message. */
    LIMIT_TRANSPORT_QUEUE =
        32 * 1024 * 1024, /* bytes that wait for one peer; further ones are dropped */
    LIMIT_TRANSPORT_HANDSHAKE_MS = 5000,  /* from the first packet to the other side's hello */
    LIMIT_TRANSPORT_STALL_MS = 10 * 1000, /* without an answer, or progress of a write */
    LIMIT_TRANSPORT_SILENCE_MS_MIN = 600, /* without a sign of the other machine: a lost packet is
                                             sent again after 200 ms, and once more */
    LIMIT_TRANSPORT_RETRY_MS_MIN = 50,    /* between two attempts to reach a peer, doubled up to */
    LIMIT_TRANSPORT_RETRY_MS_MAX = 1000,
    LIMIT_TRANSPORT_ACCEPTED = 128, /* streams that others opened, with those in their handshake */
    LIMIT_SNAPSHOT_CHUNK = 1024 * 1024, /* bytes of a snapshot's file in one answer */
    /* Between two attempts to fetch a piece: a node that was restarted is soon there again, and one
       that lost the checkpoint is not asked for it without end. */
    LIMIT_SNAPSHOT_RETRY_MS_MIN = 50,
    LIMIT_SNAPSHOT_RETRY_MS_MAX = 2000,
    LIMIT_SNAPSHOT_CALL_MS = 10 * 1000,  /* one piece: 1 MiB at 1 Mbit/s */
    LIMIT_SNAPSHOT_STALL_MS = 30 * 1000, /* without a byte: the node that holds it is gone */
    LIMIT_SNAPSHOT_DAMAGED = 4,          /* files of a wrong digest: the source is damaged */
    LIMIT_SNAPSHOT_HOLD_MS = 60 * 1000,  /* a checkpoint stays so long after it was last read */

    /* The leader's jobs. Commands that are under way together; and of one core they take a tenth:
       after a look that took long they rest nine times as long, up to this. A clock that runs ahead
       by more than an hour between two looks is believed at the second one. */
    LIMIT_JOBS_BATCH = 64,
    LIMIT_JOBS_REST_MS = 10 * 60 * 1000,
    LIMIT_JOBS_JUMP_MS = 60 * 60 * 1000,

    /* Storage. A record is made by one command out of a bounded secret, so it stays below twice
       the largest command; a snapshot's metadata names servers and files, some 100 bytes each. */
    LIMIT_RECORD = 132 * 1024 * 1024,
    LIMIT_SNAPSHOT_META = 4 * 1024 * 1024,
    /* What the writer of the state remembers of it: some thousand secrets. */
    LIMIT_RECORD_CACHE = 16 * 1024 * 1024,
    /* Rows of the index that one log entry makes: the names, descriptions and tags of its commands
       come back some 30 times, as texts, as words, as their beginnings; usually of 1 MiB, but a
       batch from another region may be LIMIT_COMMAND. */
    LIMIT_INDEX_BATCH = 0x7fffffff,

    /* Logging. */
    LIMIT_LOG_LINE = 2048,
    LIMIT_LOG_FIELD = 256,

    /* Metrics. A label is a name of an operation, a command, a region or a node. The text of all
     * series there can be is some 300 KiB. */
    LIMIT_METRIC_LABEL = LIMIT_REGION_NAME,
    LIMIT_METRICS_TEXT = 1024 * 1024,
    LIMIT_METRIC_COLLECTORS = 16,
};

#endif
