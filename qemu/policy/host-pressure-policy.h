/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a balloon is to do while its host runs short of memory
 *
 * (configuration, state, sample) -> decision. Pure: no clock, no allocation,
 * no file is read. The same bytes are simulated with thousands of guests, so
 * that nothing but qemu/osdep.h is included.
 *
 * Sizes are bytes. They are sizes of the guest, that is its RAM less its
 * balloon, unless something else is said. Times are milliseconds of a clock
 * that does not go backwards.
 */
#ifndef HW_VIRTIO_HOST_PRESSURE_POLICY_H
#define HW_VIRTIO_HOST_PRESSURE_POLICY_H

/* From one look at the host to the next, and by how much that varies */
#define HOST_POLICY_PERIOD_MS 2000
#define HOST_POLICY_JITTER_MS 1000

/*
 * So much stall in a period is a stall. Also what PSI triggers are armed with:
 * a program without privileges may have windows of 2 s only.
 */
#define HOST_POLICY_SOME_US 100000
#define HOST_POLICY_FULL_US 40000

/* The scale of the guest's and the host's pressure on the wire */
typedef enum HostPolicyLevel {
    HOST_POLICY_NONE,
    HOST_POLICY_LOW,
    HOST_POLICY_MEDIUM,
    HOST_POLICY_CRITICAL,
} HostPolicyLevel;

/**
 * HostPolicyConfig: what was set
 * @ram: the guest's RAM and DIMMs
 * @has_size_min: the guest may be shrunk without being asked
 * @size_min: down to this size
 * @reserve: of the host's memory; with more free than this nothing is short
 * @hand_timeout_ms: a level set by hand is forgotten after so long
 */
typedef struct HostPolicyConfig {
    uint64_t ram;
    bool has_size_min;
    uint64_t size_min;
    uint64_t reserve;
    uint64_t hand_timeout_ms;
} HostPolicyConfig;

/**
 * HostPolicySample: what is known now
 * @now_ms: the time
 * @random: any number, for the time of the next look
 * @total: the host's memory, or the limit of the cgroup
 * @free: of it, what can be had without swap
 * @source: host-pressure is set: @some_us to @event_level mean something
 * @woken: a PSI trigger fired or an event came, since the last decision
 * @some_us: PSI's total of some; a trigger that fired counts as a stall, too
 * @full_us: and of full
 * @event_level: HostPolicyLevel of the event, if it has one
 * @hand_level: HostPolicyLevel set by hand
 * @hand_set_ms: when
 * @management: the size that was asked for
 * @negotiated: the guest has the feature; without it the rest means nothing
 * @size: the guest has
 * @resident: of @size, what the host has memory for
 * @guest_level: HostPolicyLevel that the guest reports
 */
typedef struct HostPolicySample {
    int64_t now_ms;
    uint32_t random;
    uint64_t total;
    uint64_t free;
    bool source;
    bool woken;
    uint64_t some_us;
    uint64_t full_us;
    unsigned event_level;
    unsigned hand_level;
    int64_t hand_set_ms;
    uint64_t management;
    bool negotiated;
    uint64_t size;
    uint64_t resident;
    unsigned guest_level;
} HostPolicySample;

/**
 * HostPolicyState: what is remembered
 * @begun: of the rest, anything
 * @ram: the guest's, to notice a hot-plug
 * @share: the size that the guest has by itself, whatever management asked
 * @backed: the size that the host could back if the guest used all of it
 * @target: the guest was told last
 * @floor: likewise, size of the balloon
 * @level: likewise
 * @level_ms: when that changed last
 * @floor_ms: when the floor was looked at last
 * @look_ms: when the host is to be looked at next
 * @flow_ms: when @share moved last
 * @stall_ms: since when the next two are counted
 * @some_us: the sample's at that time
 * @full_us: likewise
 * @event_level: of the last event
 * @event_ms: its time
 * @pressed: the guest reports pressure
 * @pressed_ms: since when
 * @complained: that was said
 */
typedef struct HostPolicyState {
    bool begun;
    uint64_t ram;
    uint64_t share;
    uint64_t backed;
    uint64_t target;
    uint64_t floor;
    unsigned level;
    int64_t level_ms;
    int64_t floor_ms;
    int64_t look_ms;
    int64_t flow_ms;
    int64_t stall_ms;
    uint64_t some_us;
    uint64_t full_us;
    unsigned event_level;
    int64_t event_ms;
    bool pressed;
    int64_t pressed_ms;
    bool complained;
} HostPolicyState;

/**
 * HostPolicyDecision: what to do
 * @level: HostPolicyLevel to tell the guest
 * @target: the size to go to
 * @automatic: by so much it is less than management asked
 * @floor: the guest is not to make its balloon smaller than this for now
 * @notify: one of these has changed: interrupt the guest
 * @complain: tell, once, that the guest has been under pressure for long
 * @hand_level: what is left of the level set by hand
 * @wake_ms: decide again after so long; 0: when something happens
 */
typedef struct HostPolicyDecision {
    unsigned level;
    uint64_t target;
    uint64_t automatic;
    uint64_t floor;
    bool notify;
    bool complain;
    unsigned hand_level;
    uint32_t wake_ms;
} HostPolicyDecision;

/**
 * host_policy_decide: one decision
 * @config: what was set
 * @state: what to remember; all zeroes at first
 * @sample: what is known now
 * @decision: filled in whole
 *
 * To be called when the time that the last decision named has come, a trigger
 * fired or an event came, the guest's size or what it reports has changed, or
 * a property was set. It may be called more often than that.
 *
 * Holds for any input: @decision->target is never more than management asked,
 * and less only down to size-min; the floor is never above the target's
 * balloon; a guest that reports pressure is never given a smaller target
 * unless management asks for it.
 */
void host_policy_decide(const HostPolicyConfig *config, HostPolicyState *state,
                        const HostPolicySample *sample,
                        HostPolicyDecision *decision);

#endif
