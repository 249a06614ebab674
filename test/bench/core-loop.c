/*
 * The measure for the core: reads as the core serves them, in plain C, for `npm run bench` to compare with.
 * It keeps the core's shape (slots with private copies, windows with hints, a region table searched by
 * halves, request and completion records, completion entries with a phase) and all its checks of a read; what
 * a read does not touch is left out. The addresses of its areas come from assembly/abi/memory-map.ts by the
 * compiler's -D options.
 *
 * One line on stdin, "BYTES SCATTERED BATCHES", is answered by one on stdout: nanoseconds of each command.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

enum { PAGE = 4096, BATCH = 32, ENTRIES = 1024, BUDGET = 256 };
enum { FREE, WALKING, ISSUED, COMPLETING };
enum { READ = 2, OPERATION_READ = 1, MAPPED_WRITABLE = 6, MAPPED_READABLE = 5, UNIFORM = 0xc0000000 };
enum {
  OK = 0,
  INVALID_OPCODE = 0x4001,
  INVALID_FIELD = 0x4002,
  TRANSFER_ERROR = 0x4004,
  INVALID_NSID = 0x400b
};
enum { OFFSET_INVALID = 0x4013, OUT_OF_RANGE = 0x4080, ISSUE = 0xfffd, AGAIN = 0xfffe };
enum {
  SQ = 0x10000,
  CQ = 0x20000,
  SHADOW = 0x24000,
  LISTS = 0x200000,
  DATA = 0x400000,
  GUEST_BYTES = 0x1000000
};

struct sqe {
  u8 opcode, flags;
  u16 cid;
  u32 nsid, cdw2, cdw3;
  u64 mptr, prp1, prp2, slba;
  u32 cdw12, cdw13, cdw14, cdw15;
};

struct slot {
  struct sqe sqe;
  u64 offset, length, walk_address;
  u8 state, permit;
  u16 sqid;
  u32 sequence;
  u32 walk_remaining, segment_count;
  u16 operation, flags;
  u8 walk_state, stage;
  u16 status;
  u32 result;
  u16 cqid, nsid, generation, next;
  u8 room[SLOT_BYTES - 128];
};

struct segment {
  u64 address, length;
};

struct request {
  u32 slot;
  u16 operation, flags;
  u32 nsid, segment_count, segments, data;
  u64 offset, length;
  u16 sqid, cid;
  u32 reserved[5];
};

struct completion {
  u32 slot, result;
  u64 reserved;
};

struct cqe {
  u32 dw0, dw1;
  u16 sqhd, sqid;
  u32 last;
};

struct region {
  u64 gpa, length, io_base, offset;
  u32 file, flags;
  u64 reserved;
};

struct window {
  u32 page, flags;
  u8 used;
  u8 reserved[7];
};

struct space {
  u32 flags, lba_shift;
  u64 blocks;
  u8 rest[NAMESPACE_BYTES - 16];
};

struct submission_queue {
  u64 base;
  u32 head, sequence, tail, size, outstanding;
  u16 qid, cqid, window;
};

struct completion_queue {
  u64 base;
  u16 tail, phase;
  u32 posted, head, size, places;
  u16 qid, window;
  u64 publishing;
};

static u8 memory[WINDOW_BASE_MIN + GUEST_BYTES] __attribute__((aligned(4096)));
#define AREA(type, base) ((struct type*)(memory + (base)))

static struct submission_queue queue;
static struct completion_queue posted;
static u32 region_count, region_hint, slots_free, request_count, outstanding;
static u16 slot_first, list_window, shadow_window;
static u64 units_read, commands_read;

/* ---- Guest memory ---- */

static struct region* region_find(u64 gpa) {
  struct region* table = AREA(region, REGION_BASE);
  struct region* hint = &table[region_hint];
  if (gpa - hint->gpa < hint->length) return hint;
  u32 low = 0, high = region_count;
  while (low < high) {
    u32 middle = (low + high) / 2;
    if (table[middle].gpa <= gpa)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == 0) return hint;
  if (gpa - table[low - 1].gpa < table[low - 1].length) region_hint = low - 1;
  return &table[low - 1];
}

static u8* access_slow(u64 gpa, u32 need, u16* hint) {
  struct region* region = region_find(gpa);
  if (gpa - region->gpa >= region->length || (region->flags & need) != need) return NULL;
  struct window* windows = AREA(window, WINDOW_TABLE_BASE);
  for (u32 index = 0; index < GUEST_BYTES >> WINDOW_SHIFT; index++) {
    if (windows[index].page != gpa >> WINDOW_SHIFT || windows[index].flags == 0) continue;
    *hint = index;
    windows[index].used = 1;
    return memory + WINDOW_BASE_MIN + ((u64)index << WINDOW_SHIFT) + (gpa & (WINDOW_BYTES - 1));
  }
  return NULL;
}

static inline u8* guest_access(u64 gpa, u32 need, u16* hint) {
  struct window* window = AREA(window, WINDOW_TABLE_BASE) + *hint;
  u64 word;
  memcpy(&word, window, sizeof word);
  if (word == (((u64)UNIFORM << 32) | (gpa >> WINDOW_SHIFT))) {
    window->used = 1;
    return memory + WINDOW_BASE_MIN + ((u64)*hint << WINDOW_SHIFT) + (gpa & (WINDOW_BYTES - 1));
  }
  return access_slow(gpa, need, hint);
}

/* ---- Data pointers ---- */

static struct segment* segments_of(struct slot* slot) {
  return AREA(segment, SEGMENT_BASE + (slot - AREA(slot, SLOT_BASE)) * SEGMENT_STRIDE);
}

static u32 segment_append(struct slot* slot, u64 gpa, u32 bytes) {
  struct region* region = region_find(gpa);
  if (gpa - region->gpa >= region->length || (region->flags & MAPPED_WRITABLE) != MAPPED_WRITABLE)
    return TRANSFER_ERROR;
  u64 address = gpa - region->gpa + region->io_base;
  struct segment* at = segments_of(slot) + slot->segment_count;
  if (slot->segment_count != 0 && at[-1].address + at[-1].length == address &&
      at[-1].address - region->io_base < region->length) {
    at[-1].length += bytes;
    return OK;
  }
  at->address = address;
  at->length = bytes;
  slot->segment_count++;
  return OK;
}

static u32 entries_append(struct slot* slot, const u8* entries, u32 count) {
  u64 region_gpa = 0, region_length = 0, delta = 0;
  u32 remaining = slot->walk_remaining;
  struct segment* first = segments_of(slot);
  struct segment* at = first + slot->segment_count;
  u64 end = ~0ull;
  for (u32 index = 0; index < count; index++) {
    u64 gpa;
    memcpy(&gpa, entries + 8 * index, sizeof gpa);
    if (gpa & (PAGE - 1)) return OFFSET_INVALID;
    if (gpa - region_gpa >= region_length) {
      struct region* region = region_find(gpa);
      if (gpa - region->gpa >= region->length || (region->flags & MAPPED_WRITABLE) != MAPPED_WRITABLE)
        return TRANSFER_ERROR;
      region_gpa = region->gpa;
      region_length = region->length;
      delta = region->io_base - region->gpa;
      end = at != first && at[-1].address - region->io_base < region->length ? at[-1].address + at[-1].length
                                                                             : ~0ull;
    }
    u32 bytes = remaining < PAGE ? remaining : PAGE;
    remaining -= bytes;
    u64 address = gpa + delta;
    if (address == end) {
      at[-1].length += bytes;
    } else {
      at->address = address;
      at->length = bytes;
      at++;
    }
    end = address + bytes;
  }
  slot->walk_remaining = remaining;
  slot->segment_count = at - first;
  return OK;
}

static u32 list_walk(struct slot* slot) {
  while (true) {
    u8* entries = guest_access(slot->walk_address, MAPPED_READABLE, &list_window);
    if (entries == NULL) return AGAIN;
    u32 room = (PAGE - (slot->walk_address & (PAGE - 1))) / 8;
    u32 pages = (slot->walk_remaining + PAGE - 1) / PAGE;
    bool chained = pages > room;
    u32 taken = chained ? room - 1 : pages;
    u32 status = entries_append(slot, entries, taken);
    if (status != OK || !chained) return status;
    memcpy(&slot->walk_address, entries + 8 * taken, 8);
    if (slot->walk_address & (PAGE - 1)) return OFFSET_INVALID;
  }
}

static u32 prp_walk(struct slot* slot, u32 bytes) {
  u64 prp1 = slot->sqe.prp1, prp2 = slot->sqe.prp2;
  if (prp1 & 3) return OFFSET_INVALID;
  u32 room = PAGE - (prp1 & (PAGE - 1));
  u32 first = bytes < room ? bytes : room;
  slot->segment_count = 0;
  u32 status = segment_append(slot, prp1, first);
  if (status != OK || first == bytes) return status;
  if (bytes - first <= PAGE)
    return prp2 & (PAGE - 1) ? OFFSET_INVALID : segment_append(slot, prp2, bytes - first);
  if (prp2 & 7) return OFFSET_INVALID;
  slot->walk_address = prp2;
  slot->walk_remaining = bytes - first;
  slot->walk_state = 1;
  return list_walk(slot);
}

/* ---- Commands ---- */

static u32 read_command(struct slot* slot) {
  struct sqe* sqe = &slot->sqe;
  if (sqe->opcode >= 32 || !((1u << sqe->opcode) & 0x307)) return INVALID_OPCODE;
  if (sqe->flags != 0) return INVALID_FIELD;
  if (sqe->nsid == 0 || sqe->nsid > NAMESPACE_COUNT) return INVALID_NSID;
  struct space* space = AREA(space, NAMESPACE_BASE) + sqe->nsid - 1;
  if (!(space->flags & 1)) return INVALID_FIELD;
  if (sqe->opcode != READ) return INVALID_OPCODE;
  if (sqe->cdw12 & 0x03ff0000 || sqe->cdw13 & 0xffffff00) return INVALID_FIELD;
  u64 count = (sqe->cdw12 & 0xffff) + 1, bytes = count << space->lba_shift;
  if (bytes > PAGE << MDTS) return INVALID_FIELD;
  if (sqe->slba > space->blocks || count > space->blocks - sqe->slba) return OUT_OF_RANGE;
  slot->nsid = sqe->nsid;
  slot->offset = sqe->slba << space->lba_shift;
  slot->operation = OPERATION_READ;
  slot->flags = (sqe->cdw12 & (1u << 30)) != 0 && (space->flags & 16) != 0;
  slot->length = bytes;
  u32 status = prp_walk(slot, bytes);
  return status == OK ? ISSUE : status;
}

static void request_issue(struct slot* slot) {
  u32 index = slot - AREA(slot, SLOT_BASE);
  struct request* request = AREA(request, REQUEST_BASE) + request_count++;
  request->slot = index | ((u32)slot->generation << 16);
  request->operation = slot->operation;
  request->flags = slot->flags;
  request->nsid = slot->nsid;
  request->segment_count = slot->segment_count;
  request->segments = SEGMENT_BASE + index * SEGMENT_STRIDE;
  request->data = DATA_BASE + index * PAGE;
  request->offset = slot->offset;
  request->length = slot->length;
  request->sqid = slot->sqid;
  request->cid = slot->sqe.cid;
  slot->state = ISSUED;
  outstanding++;
}

static void publish(struct slot* slot) {
  u16 tail = posted.tail;
  u32 index = slot - AREA(slot, SLOT_BASE);
  u8* at = guest_access(posted.base + tail * sizeof(struct cqe), MAPPED_WRITABLE, &posted.window);
  if (at == NULL) return;
  struct cqe* cqe = (struct cqe*)at;
  posted.publishing = posted.posted | ((u64)(index | ((u32)slot->generation << 16)) << 32);
  cqe->dw0 = slot->result;
  cqe->dw1 = 0;
  cqe->sqhd = queue.head;
  cqe->sqid = slot->sqid;
  u32 last = slot->sqe.cid | ((u32)posted.phase << 16) | ((u32)slot->status << 17);
  __atomic_store_n(&cqe->last, last, __ATOMIC_RELEASE);
  posted.tail = tail + 1 == (u16)posted.size ? 0 : tail + 1;
  posted.phase ^= posted.tail == 0;
  posted.posted++;
  slot->state = FREE;
  slot->permit = 0;
  slot->generation++;
  slot->next = slot_first;
  slot_first = index;
  slots_free++;
  queue.outstanding--;
}

static void command_end(struct slot* slot, u32 status) {
  slot->status = status;
  slot->state = COMPLETING;
  publish(slot);
}

/* ---- The three calls of a caller ---- */

static struct slot* fetch(void) {
  if (queue.head == queue.tail || posted.places == 0 || slots_free <= SLOT_ADMIN_RESERVE) return NULL;
  u8* entry = guest_access(queue.base + (u64)queue.head * sizeof(struct sqe), MAPPED_READABLE, &queue.window);
  if (entry == NULL) return NULL;
  posted.places--;
  struct slot* slot = AREA(slot, SLOT_BASE) + slot_first;
  slot_first = slot->next;
  slots_free--;
  memset(&slot->walk_remaining, 0, 24);
  memcpy(&slot->sqe, entry, sizeof slot->sqe);
  slot->cqid = queue.cqid;
  slot->state = WALKING;
  slot->permit = 1;
  slot->sqid = queue.qid;
  slot->sequence = queue.sequence + 1;
  u32 next = queue.head + 1 == queue.size ? 0 : queue.head + 1;
  u64 place = next | ((u64)slot->sequence << 32);
  __atomic_store_n((u64*)(void*)&queue.head, place, __ATOMIC_RELEASE);
  queue.outstanding++;
  return slot;
}

static __attribute__((noinline)) u32 queue_poll(u32 budget) {
  u32* shadow = (u32*)(void*)guest_access(SHADOW, MAPPED_READABLE, &shadow_window);
  if (shadow == NULL) return 0;
  u32 tail = __atomic_load_n(&shadow[2 * queue.qid], __ATOMIC_ACQUIRE);
  if (tail < queue.size) queue.tail = tail;
  if (posted.places < posted.size / 2) {
    u32 head = __atomic_load_n(&shadow[2 * posted.qid + 1], __ATOMIC_ACQUIRE);
    u32 consumed = head >= posted.head ? head - posted.head : head + posted.size - posted.head;
    u32 used =
        posted.tail >= posted.head ? posted.tail - posted.head : posted.tail + posted.size - posted.head;
    if (head < posted.size && consumed <= used) {
      posted.head = head;
      posted.places += consumed;
    }
  }
  u32 count = 0;
  for (struct slot* slot; count < budget && (slot = fetch()) != NULL; count++) {
    u32 status = read_command(slot);
    if (status == ISSUE)
      request_issue(slot);
    else
      command_end(slot, status);
  }
  return count;
}

static __attribute__((noinline)) u32 requests_take(void) {
  u32 count = request_count;
  request_count = 0;
  return count;
}

static __attribute__((noinline)) void completions_post(u32 count) {
  struct completion* records = AREA(completion, COMPLETION_BASE);
  for (u32 index = 0; index < count; index++) {
    u32 number = records[index].slot & 0xffff;
    if (number >= SLOT_COUNT) continue;
    struct slot* slot = AREA(slot, SLOT_BASE) + number;
    if (slot->generation != records[index].slot >> 16 || slot->state != ISSUED) continue;
    outstanding--;
    if (records[index].result == OK && slot->operation == OPERATION_READ) {
      units_read += slot->length >> 9;
      commands_read++;
    }
    command_end(slot, records[index].result);
  }
}

/* ---- The guest, and the clock ---- */

static void set_up(u32 bytes, bool scattered) {
  memset(memory, 0, sizeof memory);
  queue = (struct submission_queue){.base = SQ, .size = ENTRIES, .qid = 1, .cqid = 1};
  posted =
      (struct completion_queue){.base = CQ, .size = ENTRIES, .qid = 1, .phase = 1, .places = ENTRIES - 1};
  region_count = 1;
  region_hint = slot_first = list_window = shadow_window = request_count = outstanding = 0;
  slots_free = SLOT_COUNT;
  *AREA(region, REGION_BASE) = (struct region){.length = GUEST_BYTES, .io_base = WINDOW_BASE_MIN, .flags = 7};
  *AREA(space, NAMESPACE_BASE) = (struct space){.flags = 1, .lba_shift = 9, .blocks = 1 << 20};
  for (u32 index = 0; index < SLOT_COUNT; index++) AREA(slot, SLOT_BASE)[index].next = index + 1;
  for (u32 index = 0; index < GUEST_BYTES >> WINDOW_SHIFT; index++)
    AREA(window, WINDOW_TABLE_BASE)[index] = (struct window){.page = index, .flags = UNIFORM};
  u32 pages = bytes / PAGE;
  for (u32 index = 0; index < ENTRIES; index++) {
    u64 list = LISTS + (u64)(index % BATCH) * PAGE, data = DATA + (u64)(index % BATCH) * bytes;
    struct sqe* sqe = AREA(sqe, WINDOW_BASE_MIN + SQ) + index;
    *sqe = (struct sqe){.opcode = READ, .cid = index, .nsid = 1, .slba = index * 8, .cdw12 = bytes / 512 - 1};
    sqe->prp1 = data + (scattered ? (u64)(pages - 1) * PAGE : 0);
    sqe->prp2 = pages > 2 ? list : 0;
    for (u32 page = 1; page < pages; page++)
      ((u64*)(void*)(memory + WINDOW_BASE_MIN + list))[page - 1] =
          data + (u64)(scattered ? pages - 1 - page : page) * PAGE;
  }
}

static void run(u32 batches) {
  u32* shadow = (u32*)(void*)(memory + WINDOW_BASE_MIN + SHADOW);
  struct request* requests = AREA(request, REQUEST_BASE);
  struct completion* completions = AREA(completion, COMPLETION_BASE);
  for (; batches != 0; batches--) {
    shadow[3] = shadow[2];
    shadow[2] = (shadow[2] + BATCH) % ENTRIES;
    queue_poll(BUDGET);
    u32 count = requests_take();
    for (u32 index = 0; index < count; index++)
      completions[index] = (struct completion){.slot = requests[index].slot};
    completions_post(count);
  }
}

static double now(void) {
  struct timespec time;
  /* Of this process alone: what others take from the processor is no part of it. */
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(void) {
  unsigned bytes, scattered, batches, last_bytes = 0, last_scattered = 0;
  while (scanf("%u %u %u", &bytes, &scattered, &batches) == 3) {
    if (bytes != last_bytes || scattered != last_scattered) {
      set_up(last_bytes = bytes, (last_scattered = scattered) != 0);
      run(ENTRIES);
    }
    u64 before = commands_read;
    double begin = now();
    run(batches);
    double elapsed = now() - begin;
    if (commands_read - before != (u64)batches * BATCH) return 1;
    printf("%.3f\n", elapsed / (batches * BATCH));
    fflush(stdout);
  }
  return 0;
}
