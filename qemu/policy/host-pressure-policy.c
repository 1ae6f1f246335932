/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a balloon is to do while its host runs short of memory
 *
 * Each QEMU decides for its own guest and knows of no other. What they share is
 * the host's free memory. Two flows meet there: what guests give grows with
 * what they have, what they get depends on their RAM alone. So shares become
 * equal, and neither sum depends on the number of guests.
 */
#include "qemu/osdep.h"
#include "host-pressure-policy.h"

/* The floor follows a guest that grows no faster than this. */
#define FLOOR_MS 100
/* Interrupts that tell of a level and nothing else come no faster than this. */
#define LEVEL_MS 1000
/* An event says what was so; for so long it is taken to be so still. */
#define EVENT_MS (2 * HOST_POLICY_PERIOD_MS)
#define COMPLAIN_MS (10 * 60 * 1000)

/*
 * Targets move by blocks of the guest's driver: less would be an interrupt
 * for nothing.
 */
#define BLOCK (2 * 1024 * 1024ull)
/* Nor does the floor move by less than a 64th of the guest's RAM. */
#define FLOOR_STEPS 64

/*
 * A guest gives GIVE times its part of what is missing to GIVE_BELOW reserves,
 * and gets its part of a GET_PART th of what is free beyond one.
 */
#define GIVE 2
#define GET_PART 4
/* With no host to ask, this part of RAM comes back at each look. */
#define MELT_PART 32
/* The host has never seen this memory in use: it goes no faster than this. */
#define BACKED_PART 8
/* One guest is promised at least this part of what is free... */
#define PROMISE_PART 8
/* ...or this part of its RAM, less below the reserve, whichever is more. */
#define PROMISE_LEAST_PART 32

/* @bytes * @part / @whole: the product of two sizes does not fit 64 bits. */
static uint64_t part_of(uint64_t bytes, uint64_t part, uint64_t whole)
{
    return whole ? (double)bytes * part / whole : 0;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a - MIN(a, b);
}

/* What came from the guest or from users, as far as it can be. */
static void clamp_input(HostPolicyConfig *config, HostPolicySample *sample)
{
    config->size_min = config->has_size_min ? config->size_min : 0;
    config->reserve = MIN(config->reserve, sample->total);
    sample->free = MIN(sample->free, sample->total);
    sample->management = MIN(sample->management, config->ram);
    sample->size = MIN(sample->size, config->ram);
    sample->resident = MIN(sample->resident, sample->size);
    sample->event_level = MIN(sample->event_level, HOST_POLICY_CRITICAL);
    sample->hand_level = MIN(sample->hand_level, HOST_POLICY_CRITICAL);
}

/* PSI's totals over at least a period, or the trigger, which knows better */
static bool stalled(uint64_t now_us, uint64_t then_us, uint64_t least_us,
                    int64_t ms)
{
    return now_us > then_us &&
           (double)(now_us - then_us) * HOST_POLICY_PERIOD_MS >=
           (double)least_us * MAX(ms, HOST_POLICY_PERIOD_MS);
}

/*
 * Memory first: a host without swap never stalls before it kills. And a stall
 * with memory to spare is a cgroup's at its own limit: no guest can help it.
 */
static unsigned source_level(const HostPolicyConfig *config,
                             const HostPolicyState *state,
                             const HostPolicySample *sample)
{
    int64_t ms = sample->now_ms - state->stall_ms;
    uint64_t reserve = config->reserve;
    unsigned level;

    if (sample->free >= reserve) {
        return HOST_POLICY_NONE;
    }
    level = sample->free < reserve / 4 ? HOST_POLICY_CRITICAL :
            sample->free < reserve / 2 ? HOST_POLICY_MEDIUM : HOST_POLICY_LOW;
    if (stalled(sample->full_us, state->full_us, HOST_POLICY_FULL_US, ms)) {
        level = HOST_POLICY_CRITICAL;
    } else if ((sample->woken && !sample->event_level) ||
               stalled(sample->some_us, state->some_us, HOST_POLICY_SOME_US,
                       ms)) {
        level++;
    }
    if (sample->now_ms - state->event_ms < EVENT_MS) {
        level = MAX(level, state->event_level);
    }
    return MIN(level, HOST_POLICY_CRITICAL);
}

/* What to reckon with: with a level by hand, too, memory is short. */
static uint64_t believed_free(const HostPolicyConfig *config,
                              const HostPolicySample *sample, unsigned level)
{
    static const unsigned eighths[] = { 0, 6, 3, 1 };

    if (level == HOST_POLICY_NONE) {
        return sample->free;
    }
    return MIN(sample->free, config->reserve / 8 * eighths[level]);
}

/*
 * No guest alone can use up the host before the next look. What other guests
 * do meanwhile is what the lower half of the reserve is for.
 */
static uint64_t promise(const HostPolicyConfig *config,
                        const HostPolicySample *sample, unsigned level,
                        uint64_t free)
{
    uint64_t spare = less(free, config->reserve / 2);
    uint64_t least = part_of(config->ram / PROMISE_LEAST_PART,
                             MIN(free, config->reserve), config->reserve);

    if (level == HOST_POLICY_CRITICAL) {
        return 0;
    }
    spare = MAX(part_of(spare, config->ram, sample->total),
                spare / PROMISE_PART);
    return MIN(free, MAX(spare, least));
}

static void begin(const HostPolicyConfig *config, HostPolicyState *state,
                  const HostPolicySample *sample)
{
    if (!state->begun) {
        *state = (HostPolicyState) {
            .begun = true,
            .ram = config->ram,
            .share = config->ram,
            .backed = config->ram,
            .target = sample->management,
            .level_ms = sample->now_ms - LEVEL_MS,
            .floor_ms = sample->now_ms - FLOOR_MS,
            .look_ms = sample->now_ms,
            .flow_ms = sample->now_ms - HOST_POLICY_PERIOD_MS,
            .stall_ms = sample->now_ms,
            .some_us = sample->some_us,
            .full_us = sample->full_us,
            .event_ms = sample->now_ms - EVENT_MS,
        };
    }
    if (config->ram != state->ram) {
        state->share = less(state->share + config->ram, state->ram);
        state->backed = less(state->backed + config->ram, state->ram);
        state->ram = config->ram;
    }
}

/* The size that the guest would have, were it not for management. */
static uint64_t own_size(const HostPolicyConfig *config,
                         const HostPolicyState *state)
{
    return MAX(MIN(state->share, state->backed), config->size_min);
}

/* H2: the two flows. */
static void flow(const HostPolicyConfig *config, HostPolicyState *state,
                 const HostPolicySample *sample, unsigned level, uint64_t free)
{
    uint64_t give_below = config->reserve + config->reserve / 2;
    uint64_t size = MIN(sample->management, own_size(config, state));
    uint64_t most = less(size, config->size_min);
    uint64_t give = 0;

    /*
     * A guest under pressure needs what it has; and one that has not done what
     * it was told yet gives nothing by being told more.
     */
    if (!sample->guest_level && sample->size <= state->target + BLOCK) {
        give = level == HOST_POLICY_CRITICAL ? most :
               part_of(GIVE * most, less(give_below, free), sample->total);
        give = MIN(give, most);
    }
    if (give) {
        state->share = size - give;
    }
    state->share += part_of(config->ram, less(free, config->reserve) / GET_PART,
                            sample->total);
    state->share = MIN(state->share, config->ram);
}

/* H8b: memory that the guest has and never touched is the host's debt. */
static void back(const HostPolicyConfig *config, HostPolicyState *state,
                 const HostPolicySample *sample, uint64_t promised)
{
    uint64_t backed = MAX(sample->resident + promised, config->size_min);

    if (backed < state->backed) {
        if (sample->guest_level) {
            return;
        }
        backed = MAX(backed, less(state->backed, config->ram / BACKED_PART));
    }
    state->backed = MIN(backed, config->ram);
}

static void look(const HostPolicyConfig *config, HostPolicyState *state,
                 const HostPolicySample *sample, unsigned level, uint64_t free,
                 uint64_t promised)
{
    bool due = sample->now_ms - state->flow_ms >=
               HOST_POLICY_PERIOD_MS - HOST_POLICY_JITTER_MS / 2;

    state->stall_ms = sample->now_ms;
    state->some_us = sample->some_us;
    state->full_us = sample->full_us;
    state->look_ms = sample->now_ms + HOST_POLICY_PERIOD_MS -
                     HOST_POLICY_JITTER_MS / 2 +
                     sample->random % HOST_POLICY_JITTER_MS;
    /* Triggers make looks more frequent, and must not make flows larger. */
    if (!due && level != HOST_POLICY_CRITICAL) {
        return;
    }
    if (config->has_size_min && (sample->source || level)) {
        flow(config, state, sample, level, free);
        if (due) {
            back(config, state, sample, promised);
        }
    } else {
        state->backed = config->ram;
        state->share = MIN(config->ram,
                           state->share + config->ram / MELT_PART);
    }
    if (due) {
        state->flow_ms = sample->now_ms;
    }
}

/* H8a: how small the balloon may become until the host has looked again. */
static uint64_t floor_now(const HostPolicyConfig *config,
                          const HostPolicySample *sample, uint64_t promised)
{
    uint64_t step = MAX(config->ram / FLOOR_STEPS, 1);
    /* What it has and never used it can use as well, and nobody sees it. */
    uint64_t has = config->has_size_min ? sample->resident : sample->size;
    uint64_t floor = less(config->ram, has + promised);

    return floor / step * step;
}

static void wake(HostPolicyDecision *decision, int64_t in_ms)
{
    uint32_t ms = MAX(in_ms, 1);

    if (!decision->wake_ms || ms < decision->wake_ms) {
        decision->wake_ms = ms;
    }
}

/* H3: it is left alone; after a while somebody should know. */
static void watch_guest(HostPolicyState *state, const HostPolicySample *sample,
                        HostPolicyDecision *decision)
{
    if (!sample->negotiated || !sample->guest_level) {
        state->pressed = false;
        state->complained = false;
        return;
    }
    if (!state->pressed) {
        state->pressed = true;
        state->pressed_ms = sample->now_ms;
    }
    if (state->complained) {
        return;
    }
    if (sample->now_ms - state->pressed_ms >= COMPLAIN_MS) {
        state->complained = true;
        decision->complain = true;
    } else {
        wake(decision, state->pressed_ms + COMPLAIN_MS - sample->now_ms);
    }
}

static unsigned level_by_hand(const HostPolicyConfig *config,
                              const HostPolicySample *sample,
                              HostPolicyDecision *decision)
{
    uint64_t since = sample->now_ms - sample->hand_set_ms;

    if (!sample->hand_level || since >= config->hand_timeout_ms) {
        return HOST_POLICY_NONE;
    }
    wake(decision, config->hand_timeout_ms - since);
    return sample->hand_level;
}

/* What the guest was told last, and whether that has changed. */
static void tell(HostPolicyState *state, const HostPolicySample *sample,
                 unsigned level, HostPolicyDecision *decision)
{
    decision->notify = decision->target != state->target ||
                       decision->floor != state->floor;
    if (level != state->level) {
        int64_t left = state->level_ms + LEVEL_MS - sample->now_ms;

        if (decision->notify || left <= 0) {
            decision->notify = true;
            state->level = level;
            state->level_ms = sample->now_ms;
        } else {
            wake(decision, left);
        }
    }
    decision->level = state->level;
    state->target = decision->target;
    state->floor = decision->floor;
}

static bool must_look(const HostPolicyState *state,
                      const HostPolicySample *sample, unsigned level)
{
    return sample->woken || sample->now_ms >= state->look_ms ||
           (level == HOST_POLICY_CRITICAL && state->level != level);
}

void host_policy_decide(const HostPolicyConfig *given_config,
                        HostPolicyState *state,
                        const HostPolicySample *given_sample,
                        HostPolicyDecision *decision)
{
    HostPolicyConfig config = *given_config;
    HostPolicySample sample = *given_sample;
    unsigned level = HOST_POLICY_NONE;
    uint64_t free, promised;
    bool active;

    *decision = (HostPolicyDecision) {};
    clamp_input(&config, &sample);
    begin(&config, state, &sample);
    if (sample.source && sample.event_level) {
        state->event_level = sample.event_level;
        state->event_ms = sample.now_ms;
    }
    if (sample.source) {
        level = source_level(&config, state, &sample);
    }
    decision->hand_level = level_by_hand(&config, &sample, decision);
    level = MAX(level, decision->hand_level);
    active = sample.source || level;
    free = believed_free(&config, &sample, level);
    promised = promise(&config, &sample, level, free);

    if (must_look(state, &sample, level)) {
        look(&config, state, &sample, level, free, promised);
        state->floor_ms = sample.now_ms - FLOOR_MS;
    }
    if (!sample.negotiated) {
        state->share = state->backed = config.ram;
    }
    decision->automatic = less(sample.management, own_size(&config, state));
    decision->automatic -= decision->automatic % BLOCK;
    decision->target = sample.management - decision->automatic;

    decision->floor = active && sample.negotiated ? state->floor : 0;
    if (sample.now_ms - state->floor_ms < FLOOR_MS) {
        wake(decision, state->floor_ms + FLOOR_MS - sample.now_ms);
    } else if (active && sample.negotiated) {
        decision->floor = floor_now(&config, &sample, promised);
        state->floor_ms = sample.now_ms;
    }
    decision->floor = MIN(decision->floor,
                          less(config.ram, decision->target));

    watch_guest(state, &sample, decision);
    tell(state, &sample, level, decision);
    if (active || state->share < config.ram) {
        wake(decision, state->look_ms - sample.now_ms);
    }
}
