/* Bytes of a stream between nodes, as they come out of TLS: the first byte says whether the hello
 * has been. Frames are taken one after the other as the transport does; a hello that is taken is
 * written again and must be read the same. */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "cluster/transport_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at_hello(struct core_bytes payload) {
    uint8_t frame[FRAME_HEADER + FRAME_HELLO_MAX];
    struct frame_hello hello, again;
    size_t len;

    if (frame_hello_decode(payload, &hello) != OK) {
        return;
    }
    CHECK(strlen(hello.region) > 0 && hello.version_min <= hello.version_max);
    len = frame_hello_encode(&hello, frame);
    CHECK(len <= FRAME_HEADER + payload.len);
    CHECK(frame_hello_decode((struct core_bytes){frame + FRAME_HEADER, len - FRAME_HEADER},
                             &again) == OK);
    CHECK(memcmp(frame + FRAME_HEADER, payload.data, len - FRAME_HEADER) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum frame_kind expected;
    size_t at = 1, frame = 0;

    if (size == 0) {
        return 0;
    }
    expected = (data[0] & 1) != 0 ? FRAME_MESSAGE : FRAME_HELLO;
    while (frame_look(data + at, size - at, expected, &frame) == OK) {
        CHECK(frame >= FRAME_HEADER && frame <= FRAME_MAX);
        if (size - at < frame) {
            break;
        }
        CHECK(frame > FRAME_HEADER);
        if (expected == FRAME_HELLO) {
            look_at_hello((struct core_bytes){data + at + FRAME_HEADER, frame - FRAME_HEADER});
        }
        expected = FRAME_MESSAGE;
        at += frame;
    }
    return 0;
}
