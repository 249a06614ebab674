/*
 * vhost-user-nvme: the connection to the target, its requests and answers
 *
 * Sending never waits: what the socket has no room for stays in the queue of
 * requests.  Answers come in the order of the requests.  Whatever is not as it
 * has to be ends the connection, and nothing else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <poll.h>
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/sockets.h"
#include "vhost-user-nvme.h"
#include "trace.h"

/* How often the same end of a connection is reported. */
#define VUN_REPORT_MS       5000
/* Silence of the target, while requests are unanswered, that ends it. */
#define VUN_SILENCE_MS      15000
/* Requests without an answer: more than a session begins with. */
#define VUN_REQUESTS_MAX    2048
/* Messages of the back channel that are taken in one go. */
#define VUN_BACKEND_BURST   4096

static int64_t vun_now(void)
{
    return qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
}

const char *vun_name(VhostUserNvme *s)
{
    return DEVICE(s)->id ?: TYPE_VHOST_USER_NVME;
}

/* What is to be answered next. */
static const char *vun_request_name(VhostUserNvme *s)
{
    VunRequest *req = QTAILQ_FIRST(&s->requests);

    return req ? req->kind->name : "nothing";
}

void vun_close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* ---- Streams ---------------------------------------------------------- */

static bool vun_stream_open(VunStream *stream, int fd, Error **errp)
{
    stream->sioc = qio_channel_socket_new_fd(fd, errp);
    if (!stream->sioc) {
        close(fd);
        return false;
    }
    qemu_socket_set_nonblock(fd);
    return true;
}

static void vun_stream_close(VunStream *stream)
{
    if (stream->sioc) {
        qemu_set_fd_handler(stream->sioc->fd, NULL, NULL, NULL);
        qio_channel_shutdown(QIO_CHANNEL(stream->sioc),
                             QIO_CHANNEL_SHUTDOWN_BOTH, NULL);
        g_clear_pointer(&stream->sioc, object_unref);
    }
    vun_close_fd(&stream->fd);
    stream->fds = 0;
    stream->len = 0;
}

/*
 * Takes what has arrived.  Returns true if that completes a message, whose
 * descriptors are closed with the next call if nobody has taken them.
 */
static bool vun_stream_read(VhostUserNvme *s, VunStream *stream)
{
    const uint32_t wanted = VUN_FLAG_VERSION |
                            (stream == &s->replies ? VUN_FLAG_REPLY : 0);
    VunMessage *msg = &stream->msg;

    if (!stream->len) {
        vun_close_fd(&stream->fd);
        stream->fds = 0;
    }
    while (stream->sioc) {
        size_t i, nfds = 0, bytes = VUN_HEADER_BYTES;
        g_autofree int *fds = NULL;
        struct iovec iov;
        ssize_t n;

        if (stream->len >= VUN_HEADER_BYTES) {
            uint32_t flags = le32_to_cpu(msg->flags);
            uint32_t size = le32_to_cpu(msg->size);

            if ((flags & (VUN_FLAG_VERSION_MASK | VUN_FLAG_REPLY)) != wanted ||
                size > sizeof(msg->words)) {
                vun_drop(s, "the target sent what is no message (request %u, "
                         "flags 0x%x, %u bytes)", le32_to_cpu(msg->request),
                         flags, size);
                return false;
            }
            bytes += size;
        }
        if (stream->len == bytes) {
            memset((uint8_t *)msg + bytes, 0, sizeof(*msg) - bytes);
            stream->len = 0;
            return true;
        }

        iov.iov_base = (uint8_t *)msg + stream->len;
        iov.iov_len = bytes - stream->len;
        n = qio_channel_readv_full(QIO_CHANNEL(stream->sioc), &iov, 1, &fds,
                                   &nfds, 0, NULL);
        if (n == QIO_CHANNEL_ERR_BLOCK) {
            return false;
        }
        for (i = 0; i < nfds; i++) {
            if (stream->fds++) {
                close(fds[i]);
            } else {
                stream->fd = fds[i];
            }
        }
        if (n > 0) {
            stream->len += n;
        } else if (stream == &s->backend) {
            vun_stream_close(stream);
        } else if (s->stage == VUN_LIVE) {
            vun_drop(s, "the target closed the connection");
        } else {
            vun_drop(s, "the target closed the connection at once: another VM "
                     "is at this socket, or it is none of a target's with "
                     "protocol=vhost-user-nvme");
        }
    }
    return false;
}

/* ---- The end of a connection ------------------------------------------ */

void vun_disconnect(VhostUserNvme *s)
{
    VunRequest *req, *next;

    trace_vhost_user_nvme_detach(vun_name(s), s->stage);
    vun_stream_close(&s->replies);
    vun_stream_close(&s->backend);
    vun_close_fd(&s->backend_far);
    timer_del(s->silence);
    QTAILQ_FOREACH_SAFE(req, &s->requests, next, next) {
        QTAILQ_REMOVE(&s->requests, req, next);
        g_free(req);
    }
    s->unsent = NULL;
    s->requests_count = 0;
    vun_session_ended(s);
}

/* Ends the connection and says why, but not the same all the time. */
void vun_drop(VhostUserNvme *s, const char *fmt, ...)
{
    g_autofree char *former = s->last_error;
    va_list ap;

    va_start(ap, fmt);
    s->last_error = g_strdup_vprintf(fmt, ap);
    va_end(ap);

    s->quiet = !g_strcmp0(s->last_error, former) &&
               vun_now() - s->reported < VUN_REPORT_MS;
    if (s->realized && !s->quiet) {
        s->reported = vun_now();
        error_report("%s: %s; the guest waits %s", vun_name(s), s->last_error,
                     vun_socket(s) && vun_socket(s)->reconnect_time_ms ?
                     "until there is a target again" :
                     "for ever (give the chardev reconnect-ms=1000)");
    }
    vun_disconnect(s);
}

static void vun_silent(void *opaque)
{
    VhostUserNvme *s = opaque;

    vun_drop(s, "the target did not answer %s in time", vun_request_name(s));
}

/* ---- Requests --------------------------------------------------------- */

static void vun_flush(void *opaque)
{
    VhostUserNvme *s = opaque;

    while (s->unsent) {
        VunRequest *req = s->unsent;
        size_t len = VUN_HEADER_BYTES + req->kind->bytes;
        struct iovec iov = { (uint8_t *)&req->msg + req->sent,
                             len - req->sent };
        ssize_t n;

        n = qio_channel_writev_full(QIO_CHANNEL(s->replies.sioc), &iov, 1,
                                    &req->fd, !req->sent && req->fd >= 0, 0,
                                    NULL);
        if (n == QIO_CHANNEL_ERR_BLOCK) {
            break;
        }
        if (n < 0) {
            /* Replies that came before the end count: reading will see it. */
            s->unsent = NULL;
            break;
        }
        req->sent += n;
        if (req->sent == len) {
            s->unsent = QTAILQ_NEXT(req, next);
            if (!req->kind->reply_bytes) {
                QTAILQ_REMOVE(&s->requests, req, next);
                s->requests_count--;
                g_free(req);
            }
        }
    }
    if (s->watched != !!s->unsent) {
        s->watched = !!s->unsent;
        qemu_set_fd_handler(s->replies.sioc->fd, vun_receive,
                            s->watched ? vun_flush : NULL, s);
    }
}

/*
 * Sends a request, if there is a connection: @fd, or -1, stays the caller's,
 * and open until the answer; @words are as many as the request has.
 */
void vun_send(VhostUserNvme *s, uint32_t request, int fd,
              const uint64_t *words)
{
    const VunKind *kind = vun_kind(request);
    VunRequest *req;
    unsigned i;

    if (!s->replies.sioc) {
        return;
    }
    if (s->requests_count == VUN_REQUESTS_MAX) {
        vun_drop(s, "the target does not keep up with the guest");
        return;
    }
    trace_vhost_user_nvme_send(vun_name(s), kind->name, kind->bytes);

    req = g_new0(VunRequest, 1);
    req->kind = kind;
    req->fd = fd;
    req->msg.request = cpu_to_le32(request);
    req->msg.flags = cpu_to_le32(VUN_FLAG_VERSION | (kind->reply_bytes ?
                                 VUN_FLAG_NEED_REPLY : 0));
    req->msg.size = cpu_to_le32(kind->bytes);
    for (i = 0; i < kind->bytes / 8; i++) {
        req->msg.words[i] = cpu_to_le64(words[i]);
    }
    if (!s->requests_count++) {
        timer_mod(s->silence, vun_now() + VUN_SILENCE_MS);
    }
    QTAILQ_INSERT_TAIL(&s->requests, req, next);
    if (!s->unsent) {
        s->unsent = req;
        vun_flush(s);
    }
}

static void vun_backend_drain(void *opaque)
{
    VhostUserNvme *s = opaque;
    unsigned burst;

    for (burst = 0; burst < VUN_BACKEND_BURST; burst++) {
        if (!vun_stream_read(s, &s->backend)) {
            return;
        }
        vun_backend_message(s, &s->backend.msg);
    }
}

/* Gives the oldest request, which has to be the one meant, its answer. */
static void vun_answer(VhostUserNvme *s)
{
    const VunMessage *msg = &s->replies.msg;
    uint32_t size = le32_to_cpu(msg->size);
    VunRequest *req = QTAILQ_FIRST(&s->requests);
    const VunKind *kind;
    uint64_t result;
    unsigned i;

    if (!req || req == s->unsent || req->msg.request != msg->request) {
        vun_drop(s, "the target answered %s with a reply to request %u",
                 vun_request_name(s), le32_to_cpu(msg->request));
        return;
    }
    kind = req->kind;
    for (i = 0; i < VUN_WORDS_MAX; i++) {
        req->reply[i] = le64_to_cpu(msg->words[i]);
    }
    result = kind->flags & VUN_QUERY ? 0 : req->reply[0];
    if ((size != kind->reply_bytes && !(result && size == 8)) ||
        s->replies.fds != (kind->request == VUN_GET_STATE && !result)) {
        vun_drop(s, "the target answered %s with %u bytes and %u descriptors",
                 kind->name, size, s->replies.fds);
        return;
    }

    trace_vhost_user_nvme_reply(vun_name(s), kind->name, result);
    QTAILQ_REMOVE(&s->requests, req, next);
    if (--s->requests_count) {
        timer_mod(s->silence, vun_now() + VUN_SILENCE_MS);
    } else {
        timer_del(s->silence);
    }
    if (result && kind->flags & VUN_REQUIRED) {
        vun_drop(s, "the target refused %s: %s", kind->name,
                 strerror(MIN(result, INT_MAX)));
    } else if (kind->reply) {
        kind->reply(s, req);
    } else if (result) {
        warn_report("%s: the target refused %s: %s", vun_name(s), kind->name,
                    strerror(MIN(result, INT_MAX)));
    }
    g_free(req);
}

void vun_receive(void *opaque)
{
    VhostUserNvme *s = opaque;

    while (vun_stream_read(s, &s->replies)) {
        /* CSTS as of this reply, not as of before. */
        vun_backend_drain(s);
        if (s->replies.sioc) {
            vun_answer(s);
        }
    }
}

/* ---- Waiting ---------------------------------------------------------- */

/* Handles messages for a while.  Returns false if there will be no more. */
static bool vun_pump(VhostUserNvme *s, int64_t deadline)
{
    int64_t left = deadline - vun_now();
    struct pollfd fds[2];

    if (!s->replies.sioc || left <= 0) {
        return false;
    }
    fds[0] = (struct pollfd) {
        .fd = s->replies.sioc->fd,
        .events = POLLIN | (s->unsent ? POLLOUT : 0),
    };
    fds[1] = (struct pollfd) {
        .fd = s->backend.sioc ? s->backend.sioc->fd : -1,
        .events = POLLIN,
    };
    poll(fds, ARRAY_SIZE(fds), left);
    if (fds[0].revents & POLLOUT) {
        vun_flush(s);
    }
    vun_backend_drain(s);
    vun_receive(s);
    return true;
}

/* Waits until everything is answered; false: it was not in time. */
bool vun_settle(VhostUserNvme *s, int ms)
{
    int64_t deadline = vun_now() + ms;

    while (s->requests_count && vun_pump(s, deadline)) {
        continue;
    }
    return s->replies.sioc && !s->requests_count;
}

/* Waits for answers without which QEMU cannot go on. */
bool vun_settle_or_drop(VhostUserNvme *s, Error **errp)
{
    if (vun_settle(s, VUN_WAIT_MS)) {
        return true;
    }
    if (s->replies.sioc) {
        vun_silent(s);
    }
    error_setg(errp, "%s", s->last_error);
    return false;
}

/* ---- The beginning of a connection ------------------------------------ */

SocketChardev *vun_socket(VhostUserNvme *s)
{
    Object *chr = OBJECT(qemu_chr_fe_get_driver(&s->chr));

    return (SocketChardev *)object_dynamic_cast(chr, TYPE_CHARDEV_SOCKET);
}

/*
 * The character device only connects and closes: messages go over a
 * descriptor of its socket, for it could neither wait for a limited time nor
 * tell which message brought which descriptor.
 */
bool vun_connect(VhostUserNvme *s, Error **errp)
{
    const char *label = qemu_chr_fe_get_driver(&s->chr)->label;
    SocketChardev *sock = vun_socket(s);
    int fd, pair[2];
    bool ok;

    if (!sock || !sock->sioc || sock->ioc != QIO_CHANNEL(sock->sioc) ||
        !qio_channel_has_feature(sock->ioc, QIO_CHANNEL_FEATURE_FD_PASS)) {
        error_setg(errp, "chardev '%s' is not a connected UNIX socket", label);
        return false;
    }
    fd = qemu_dup(sock->sioc->fd);
    if (fd < 0 || qemu_socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) {
        error_setg_errno(errp, errno, "no descriptors for the connection of "
                         "chardev '%s'", label);
        vun_close_fd(&fd);
        return false;
    }
    s->backend_far = pair[1];
    ok = vun_stream_open(&s->backend, pair[0], errp);
    if (!vun_stream_open(&s->replies, fd, ok ? errp : NULL) || !ok) {
        vun_disconnect(s);
        return false;
    }
    trace_vhost_user_nvme_attach(vun_name(s), label);
    qemu_set_fd_handler(fd, vun_receive, NULL, s);
    qemu_set_fd_handler(pair[0], vun_backend_drain, NULL, s);
    s->watched = false;
    return true;
}

void vun_connection_init(VhostUserNvme *s)
{
    s->replies.fd = s->backend.fd = s->backend_far = -1;
    QTAILQ_INIT(&s->requests);
    s->silence = timer_new_ms(QEMU_CLOCK_REALTIME, vun_silent, s);
}

void vun_connection_cleanup(VhostUserNvme *s)
{
    vun_disconnect(s);
    if (qemu_chr_fe_backend_open(&s->chr)) {
        /* The next device has to begin with a connection of its own. */
        qemu_chr_fe_disconnect(&s->chr);
    }
    g_clear_pointer(&s->silence, timer_free);
    g_clear_pointer(&s->last_error, g_free);
}
