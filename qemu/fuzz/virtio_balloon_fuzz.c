/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile guest, and a host that goes on asking for sizes meanwhile.
 *
 * An input is a sequence of actions: a byte that selects one, and what it
 * needs. The generic fuzzer would have to find out by chance how a queue is set
 * up; this one always has queues, and may do with them what it likes.
 *
 * Whatever the guest does, what the host has asked for stays, and the device's
 * registers say so.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-machine.h"
#include "qemu/timer.h"
#include "qom/object.h"
#include "standard-headers/linux/virtio_balloon_pressure.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_pci.h"
#include "tests/qtest/libqtest.h"
#include "tests/qtest/libqos/virtio.h"
#include "tests/qtest/libqos/virtio-balloon.h"
#include "tests/qtest/libqos/virtio-pci.h"
#include "fuzz.h"
#include "qos_fuzz.h"

#define RAM             (64 * MiB)
#define PAGE            4096
#define QUEUES          6
#define MOST_ENTRIES    256
#define RINGS           (1 * MiB)
#define RING_SIZE       (64 * KiB)
#define BUFFERS         (4 * MiB)
#define BUFFERS_SIZE    (1 * MiB)
#define CONFIG_SIZE     sizeof(struct virtio_balloon_pressure_config)

#define config_read(f, field) \
    config_readl(f, offsetof(struct virtio_balloon_pressure_config, field))

typedef struct Input {
    const uint8_t *data;
    size_t left;
} Input;

typedef struct Fuzzed {
    QTestState *qts;
    QVirtioPCIDevice *pci;
    QVirtioDevice *dev;
    Object *object;
    QVirtQueue queues[QUEUES];
    uint16_t next[QUEUES];
    uint64_t buffer;
    /* What the host has asked for, 0 if nothing yet */
    uint64_t target;
} Fuzzed;

static uint64_t take(Input *in, size_t size)
{
    uint64_t value = 0;

    size = MIN(size, in->left);
    memcpy(&value, in->data, size);
    in->data += size;
    in->left -= size;
    return value;
}

static bool is_modern(Fuzzed *f)
{
    return f->pci->device_cfg_offset;
}

static void notify(Fuzzed *f, uint16_t queue)
{
    uint64_t at = VIRTIO_PCI_QUEUE_NOTIFY;

    if (is_modern(f)) {
        at = f->pci->notify_cfg_offset +
             queue * f->pci->notify_off_multiplier;
    }
    qpci_io_writew(f->pci->pdev, f->pci->bar, at, queue);
}

static uint32_t config_readl(Fuzzed *f, uint8_t offset)
{
    return f->dev->bus->config_readl(f->dev, offset);
}

static void config_write(Fuzzed *f, uint8_t offset, uint8_t size,
                         uint32_t value)
{
    uint64_t at = VIRTIO_PCI_CONFIG_OFF(false) + offset;

    if (is_modern(f)) {
        at = f->pci->device_cfg_offset + offset;
    }
    switch (size) {
    case 1:
        qpci_io_writeb(f->pci->pdev, f->pci->bar, at, value);
        break;
    case 2:
        qpci_io_writew(f->pci->pdev, f->pci->bar, at, value);
        break;
    default:
        qpci_io_writel(f->pci->pdev, f->pci->bar, at, value);
    }
}

static void set_up_queue(Fuzzed *f, int index)
{
    static const uint8_t zeroes[RING_SIZE];
    QVirtQueue *vq = &f->queues[index];

    f->next[index] = 0;
    f->dev->bus->queue_select(f->dev, index);
    vq->vdev = f->dev;
    vq->index = index;
    vq->size = MIN(f->dev->bus->get_queue_size(f->dev), MOST_ENTRIES);
    if (!vq->size) {
        return;
    }
    vq->desc = RINGS + index * RING_SIZE;
    vq->avail = vq->desc + vq->size * 16;
    vq->used = ROUND_UP(vq->avail + 6 + 2 * vq->size, PAGE);
    /* The fuzzer's own qtest_memset() leaks. */
    qtest_memwrite(f->qts, vq->desc, zeroes, RING_SIZE);
    f->dev->bus->set_queue_address(f->dev, vq);
    if (is_modern(f)) {
        qpci_io_writew(f->pci->pdev, f->pci->bar, f->pci->common_cfg_offset +
                       offsetof(struct virtio_pci_common_cfg, queue_enable), 1);
    }
}

static void begin(Fuzzed *f, uint64_t features)
{
    uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
    int i;

    f->dev->bus->set_status(f->dev, 0);
    f->dev->bus->set_status(f->dev, status);
    if (is_modern(f)) {
        /* libqos insists. */
        features |= BIT_ULL(VIRTIO_F_VERSION_1);
    }
    f->dev->bus->set_features(f->dev, features &
                              f->dev->bus->get_features(f->dev));
    if (is_modern(f)) {
        status |= VIRTIO_CONFIG_S_FEATURES_OK;
        f->dev->bus->set_status(f->dev, status);
    }
    for (i = 0; i < QUEUES; i++) {
        set_up_queue(f, i);
    }
    f->dev->bus->set_status(f->dev, status | VIRTIO_CONFIG_S_DRIVER_OK);
}

static uint64_t buffer_of(Fuzzed *f, uint32_t size)
{
    uint64_t start = f->buffer;

    if (start + size > BUFFERS + BUFFERS_SIZE) {
        start = BUFFERS;
    }
    f->buffer = start + ROUND_UP(size, 16);
    return start;
}

/* What a descriptor is to point to: pages in a row, any bytes, or anywhere. */
static void fill(Fuzzed *f, Input *in, uint64_t *address, uint32_t *size)
{
    uint32_t pfn, step, i;
    uint8_t bytes[256];

    switch (take(in, 1) % 4) {
    case 0:
        pfn = take(in, 2);
        step = take(in, 1) % 4;
        *size = take(in, 2) % 1024 * 4;
        *address = buffer_of(f, *size);
        for (i = 0; i < *size / 4; i++) {
            qtest_writel(f->qts, *address + i * 4, pfn + i * step);
        }
        break;
    case 1:
        *size = take(in, 1);
        *address = buffer_of(f, *size);
        for (i = 0; i < *size; i++) {
            bytes[i] = take(in, 1);
        }
        qtest_memwrite(f->qts, *address, bytes, *size);
        break;
    case 2:
        *address = take(in, 2) * PAGE;
        *size = take(in, 2) * PAGE;
        break;
    default:
        *address = take(in, 8);
        *size = take(in, 4);
    }
}

static void add(Fuzzed *f, Input *in)
{
    QVirtQueue *vq = &f->queues[take(in, 1) % QUEUES];
    uint8_t chain = take(in, 1) % 4 + 1, flags, i;
    uint16_t *next = &f->next[vq->index], head = *next, index;
    uint64_t address, descriptor;
    uint32_t size;

    if (!vq->size) {
        return;
    }
    for (i = 0; i < chain; i++) {
        fill(f, in, &address, &size);
        flags = take(in, 1);
        descriptor = vq->desc + *next % vq->size * 16;
        qtest_writeq(f->qts, descriptor, address);
        qtest_writel(f->qts, descriptor + 8, size);
        /* The last one says that there is another if the dice say so. */
        qtest_writew(f->qts, descriptor + 12, (flags & 6) |
                     (i + 1 < chain || (flags & 0xf0) == 0xf0));
        qtest_writew(f->qts, descriptor + 14, (*next + 1) % vq->size);
        ++*next;
    }
    index = qtest_readw(f->qts, vq->avail + 2);
    qtest_writew(f->qts, vq->avail + 4 + index % vq->size * 2,
                 head % vq->size);
    qtest_writew(f->qts, vq->avail + 2, index + 1);
    notify(f, vq->index);
}

static void ask(Fuzzed *f, Input *in)
{
    static const char *const names[] = {
        "size-max", "size-min", "host-pressure-level", "host-reserve",
        "host-pressure-timeout", "guest-stats-polling-interval",
    };
    const char *name = names[take(in, 1) % ARRAY_SIZE(names)];
    uint64_t value = take(in, 1);
    Error *err = NULL;

    if (!strncmp(name, "size", 4) || !strcmp(name, "host-reserve")) {
        value *= MiB;
    } else if (!strcmp(name, "host-pressure-level")) {
        value %= 5;
    }
    /* A device without guest-pressure refuses most of them. */
    object_property_set_uint(f->object, name, value, &err);
    error_free(err);
}

static void ask_for_size(Fuzzed *f, Input *in)
{
    uint64_t size = (take(in, 1) % 80 + 1) * MiB;
    Error *err = NULL;

    qmp_balloon(size, &err);
    if (!err) {
        f->target = MIN(size, RAM);
    }
    error_free(err);
}

static void check(Fuzzed *f)
{
    uint64_t features = f->dev->bus->get_guest_features(f->dev), max, floor;
    BalloonPressureInfo *info;
    Error *err = NULL;

    g_assert(config_read(f, num_pages) <= RAM / PAGE);
    info = qmp_query_balloon_pressure(&err);
    if (!info) {
        error_free(err);
        return;
    }
    g_assert(info->actual <= RAM);
    g_assert(!info->has_target || info->target == f->target);
    max = info->size_max;
    g_assert(max == object_property_get_uint(f->object, "size-max",
                                             &error_abort));
    if (features & BIT_ULL(VIRTIO_BALLOON_F_PRESSURE)) {
        floor = config_read(f, min_pages);
        g_assert(floor == (RAM - max) / PAGE);
        g_assert(config_read(f, min_now_pages) <= RAM / PAGE);
    }
    qapi_free_BalloonPressureInfo(info);
}

static void act(Fuzzed *f, Input *in)
{
    int queue;

    switch (take(in, 1) % 13) {
    case 0 ... 4:
        add(f, in);
        break;
    case 5:
        queue = take(in, 1);
        config_write(f, queue % (CONFIG_SIZE + 4), 1 << queue / 64 % 3,
                     take(in, 4));
        break;
    case 6:
        /* All that the device offers, but for a few. */
        begin(f, ~take(in, 5));
        break;
    case 7:
        ask_for_size(f, in);
        break;
    case 8:
        ask(f, in);
        break;
    case 9:
        qtest_clock_step(f->qts, take(in, 2) * SCALE_MS);
        break;
    case 10:
        /* Into a ring, whatever it means there. */
        queue = take(in, 1) % QUEUES;
        qtest_writew(f->qts, RINGS + queue * RING_SIZE +
                     take(in, 2) % (RING_SIZE - 1), take(in, 2));
        notify(f, queue);
        break;
    case 11:
        notify(f, take(in, 1));
        break;
    case 12:
        f->dev->bus->set_status(f->dev, take(in, 1));
        break;
    }
}

static void virtio_balloon_fuzz(QTestState *s, const unsigned char *data,
                                size_t size)
{
    QVirtioBalloonPCI *balloon = container_of(fuzz_qos_obj, QVirtioBalloonPCI,
                                              balloon);
    static Fuzzed f;
    Input in = { .data = data, .left = size };

    if (!f.qts) {
        f.qts = s;
        f.pci = &balloon->pci_vdev;
        f.dev = &f.pci->vdev;
        f.object = object_resolve_path_type("", "virtio-balloon-pci", NULL);
        g_assert(f.object);
    }
    /* Each input begins with the same device, or it could not be repeated. */
    f.buffer = BUFFERS;
    begin(&f, ~0ULL);
    while (in.left) {
        act(&f, &in);
        flush_events(s);
        check(&f);
    }
}

static void virtio_balloon_pre_fuzz(QTestState *s)
{
    qos_init_path(s);
}

static void *virtio_balloon_setup(GString *cmd_line, void *arg)
{
    const char *more = getenv("VBP_FUZZ_ARGS");

    g_string_append(cmd_line, more ? more : "");
    return arg;
}

static void register_virtio_balloon_fuzz_targets(void)
{
    fuzz_add_qos_target(&(FuzzTarget){
                .name = "virtio-balloon-fuzz",
                .description = "Fuzz the balloon: its queues, its registers, "
                               "and what its host asks for",
                .pre_fuzz = &virtio_balloon_pre_fuzz,
                .fuzz = virtio_balloon_fuzz,},
                "virtio-balloon",
                &(QOSGraphTestOptions){.before = virtio_balloon_setup}
                );
}

fuzz_target_init(register_virtio_balloon_fuzz_targets);
