#include "trace/bpf/lives/life_tracker.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>

#include "trace/bpf/events/whole_records.h"
#include "trace/bpf/kernel/kernel_causes.h"
#include "trace/tcp_states.h"

namespace tcpwhy::trace {
namespace {

using namespace std::chrono_literals;

using recording::SocketLife;

// How long an end that is over waits for its peer's, so that one line tells both. As long as `ps` takes for CLOSE-WAIT to be worth a warning.
constexpr base::Duration waits_for_peer = 10s;
// How long one in CLOSED waits for its destruction: the reason of a reset may still come, and who closes it.
constexpr base::Duration waits_for_destruction = 1s;

// include/net/tcp_states.h
constexpr std::uint32_t state_syn_sent = 2, state_syn_received = 3, state_fin_wait_1 = 4, state_closed = 7,
                        state_close_wait = 8, state_last_ack = 9, state_listen = 10;

wire::SocketAddress address(std::uint16_t family, const __u8 (&bytes)[16], std::uint16_t port) {
  const std::span<const std::uint8_t, 16> all(bytes);
  const auto ip = family == AF_INET ? wire::IpAddress::v4(all.first<4>()) : wire::IpAddress::v6(all);
  return {ip.unmapped(), port};
}

void enter(SocketLife& life, tcp::State state) {
  if (life.state_count < life.states.size()) life.states[life.state_count++] = state;
  if (state == tcp::State::established) life.established = true;
  if (state == tcp::State::syn_sent) life.opener = true;
}

bool is_same_namespace(std::uint64_t one, std::uint64_t other) { return one == other || one == 0 || other == 0; }

// A connection within a host stays in one network namespace; another may lead into a neighbour.
bool may_lead_elsewhere(const SocketLife& life) {
  constexpr std::uint8_t loopback = 127;
  const bool loops = life.local.ip.family == wire::IpFamily::v4 && life.local.ip.bytes[0] == loopback;
  return !loops && life.local.ip != life.remote.ip;
}

// Of those that have its ends turned round the one in its own namespace, else the only one that there is elsewhere. `opened` and `netns` of
// one; null where it is none.
template <class Iterator, class LifeOf>
Iterator peer_among(const SocketLife& life, std::pair<Iterator, Iterator> range, Iterator none, const LifeOf& life_of) {
  Iterator near = none, far = none;
  int far_count = 0;
  const SocketLife* nearest = nullptr;
  for (Iterator it = range.first; it != range.second; ++it) {
    const SocketLife* one = life_of(it->second);
    if (one == nullptr) continue;
    if (is_same_namespace(one->netns, life.netns)) {
      if (nearest == nullptr || one->opened > nearest->opened) near = it, nearest = one;
    } else if (may_lead_elsewhere(life)) {
      far = it, ++far_count;
    }
  }
  if (near != none) return near;
  return far_count == 1 ? far : none;
}

recording::Holder runs_in(std::uint32_t tgid, const char (&comm)[16]) {
  return {static_cast<std::int32_t>(tgid), std::string(comm, strnlen(comm, sizeof comm))};
}

// The kernel counts a SYN and a FIN as a byte each (tcp_snd_una_update()).
void leave_out_flags(SocketLife& life) {
  const auto less = [](std::uint64_t& count, bool one) {
    if (one && count > 0) --count;
  };
  const bool orderly = !life.reset_received && !life.reset_sent && life.error == 0;
  less(life.bytes_sent, life.opener && life.established);
  less(life.bytes_sent, life.was_in(tcp::State::fin_wait_2) ||
                            ((life.was_in(tcp::State::last_ack) || life.was_in(tcp::State::closing)) && orderly));
}

}  // namespace

// Ports and the low words of the addresses differ most. Whoever connects chooses them, so a flood may collide: the table's size is
// bounded, and so is what a collision costs.
std::size_t LifeTracker::HashEnds::operator()(const Ends& ends) const {
  std::uint64_t hash = std::uint64_t{ends.first.port} << 16 | ends.second.port;
  const auto mix = [&hash](const wire::IpAddress& ip) {
    std::uint64_t words[2];
    std::memcpy(words, ip.bytes.data(), sizeof words);
    hash = (hash ^ words[0]) * 0x9e3779b97f4a7c15U;
    hash = (hash ^ words[1] ^ hash >> 29) * 0xbf58476d1ce4e5b9U;
  };
  mix(ends.first.ip), mix(ends.second.ip);
  return hash ^ hash >> 32;
}

void LifeTracker::begin(const SocketSample& sample, const recording::SocketHolders& holders) {
  const auto holder_of = [&holders](const recording::SocketSnapshot& socket) {
    const auto& held = holders.of(socket.inode);
    return held.empty() || socket.inode == 0 ? recording::Holder{}
                                             : recording::Holder{held.front().pid, held.front().command};
  };
  for (const recording::SocketSnapshot& socket : sample.sockets)
    if (socket.state == tcp::State::listen)
      listeners_[socket.local.port].push_back({options_.netns, socket.cookie, socket.local.ip, holder_of(socket)});
  for (const recording::SocketSnapshot& socket : sample.sockets) {
    if (!socket.tcp || socket.state == tcp::State::listen) continue;  // entries of TIME-WAIT are never seen
    SocketLife life;
    life.socket = socket.cookie, life.netns = options_.netns;
    life.local = socket.local, life.remote = socket.remote, life.holder = holder_of(socket);
    life.in_cgroup = options_.is_in_cgroup && life.holder.pid != 0 && options_.is_in_cgroup(life.holder.pid);
    life.opened = sample.end, life.began_before_watching = true,
    life.established = socket.state != tcp::State::syn_sent;
    enter(life, socket.state);
    if (socket.state == tcp::State::close_wait)
      life.waits_since = sample.end - std::chrono::milliseconds(socket.activity.last_ack_received_ms);
    // Not for certain where the counts don't tell: a listener may be gone.
    life.opener = socket.opener.value_or(!listeners_.contains(socket.local.port));
    if (life.holder.pid == 0 && !life.opener)
      if (const auto listens = listens_for(life)) life.holder = *listens, life.holder_only_listens = true;
    by_ends_.emplace(Ends{life.local, life.remote}, Place{life.netns, 0, life.socket});
    before_[socket.cookie] = std::move(life);
  }
}

// Local and remote, addresses and ports, as they lie there.
constexpr std::size_t ends_begin = offsetof(probe_socket, local), ends_end = offsetof(probe_socket, family);
static_assert(ends_end - ends_begin == sizeof(LifeTracker::RawEnds));

bool LifeTracker::Alive::has_ends_of(const probe_socket& socket) const {
  return std::memcmp(ends.data(), reinterpret_cast<const std::byte*>(&socket) + ends_begin, ends.size()) == 0;
}

void LifeTracker::Alive::keep_ends_of(const probe_socket& socket) {
  std::memcpy(ends.data(), reinterpret_cast<const std::byte*>(&socket) + ends_begin, ends.size());
}

LifeTracker::Alive* LifeTracker::find(const probe_socket& socket, base::WallTime at, const OnEnded& on_ended) {
  if (socket.pointer == 0 || (socket.family != AF_INET && socket.family != AF_INET6)) return nullptr;
  // The kernel uses an address again as soon as it is free.
  if (const auto known = alive_.find(socket.pointer); known != alive_.end()) {
    const std::uint64_t cookie = known->second.life.socket;
    if (cookie != 0 && socket.cookie != 0 && cookie != socket.cookie) forget(socket.pointer);
  }
  auto [place, made] = alive_.try_emplace(socket.pointer);
  Alive& alive = place->second;
  if (made) {
    if (const auto known = before_.find(socket.cookie); known != before_.end()) {
      alive.life = std::move(known->second);
      before_.erase(known);
      forget_ends(alive.life, 0);
      alive.told = told_before_.erase(socket.cookie) > 0;
      by_ends_.emplace(Ends{alive.life.local, alive.life.remote},
                       Place{alive.life.netns, socket.pointer, socket.cookie});
      alive.keep_ends_of(socket);
    } else {
      alive.life.opened = at;
    }
    alive.pointer = socket.pointer;
  }
  SocketLife& life = alive.life;
  if (socket.cookie != 0) life.socket = socket.cookie;
  if (socket.netns != 0) life.netns = socket.netns;
  const bool whole = socket.local_port != 0 && socket.remote_port != 0;
  if (!whole || alive.ended || alive.has_ends_of(socket)) return &alive;
  const auto local = address(socket.family, socket.local, socket.local_port);
  const auto remote = address(socket.family, socket.remote, socket.remote_port);
  alive.keep_ends_of(socket);
  if (local.ip.is_unspecified() || (life.local == local && life.remote == remote)) return &alive;
  forget_ends(life, socket.pointer);
  life.local = local, life.remote = remote;
  tell_former(life, on_ended);
  by_ends_.emplace(Ends{local, remote}, Place{life.netns, socket.pointer, life.socket});
  return &alive;
}

void LifeTracker::add(std::span<const std::byte> record, base::Duration clock, const OnOpened& on_opened,
                      const OnEnded& on_ended) {
  if (record.size() < sizeof(probe_head)) return;
  const auto& head = *reinterpret_cast<const probe_head*>(record.data());
  const base::WallTime at = base::wall_from_ns(static_cast<std::int64_t>(head.at_ns) + clock.count());
  const auto big_enough = [&](std::size_t size) { return record.size() >= size; };
  switch (head.kind) {
    case PROBE_STATE:
      if (const auto state = whole_state(record)) on_state(*state, at, on_opened, on_ended);
      return;
    case PROBE_RESET_SENT:
    case PROBE_RESET_RECEIVED:
      if (const auto reset = whole_reset(record)) on_reset(*reset, at, on_ended);
      return;
    case PROBE_SOCKET_ERROR:
      if (big_enough(sizeof(probe_error))) on_error(*reinterpret_cast<const probe_error*>(record.data()), at, on_ended);
      return;
    case PROBE_GONE:
      if (big_enough(sizeof(probe_gone))) on_gone(*reinterpret_cast<const probe_gone*>(record.data()), at, on_ended);
      return;
    default: return;
  }
}

void LifeTracker::forget_ends(const SocketLife& life, std::uint64_t pointer) {
  const auto [first, last] = by_ends_.equal_range({life.local, life.remote});
  const auto found = std::find_if(first, last, [&](const auto& entry) {
    return entry.second.pointer == pointer && (pointer != 0 || entry.second.cookie == life.socket);
  });
  if (found != last) by_ends_.erase(found);
}

void LifeTracker::forget(std::uint64_t pointer) {
  const auto found = alive_.find(pointer);
  if (found == alive_.end()) return;
  forget_ends(found->second.life, pointer);
  alive_.erase(found);
}

void LifeTracker::on_gone(const probe_gone& gone, base::WallTime at, const OnEnded& on_ended) {
  std::erase_if(closing_listeners_, [&](const auto& listener) { return listener.pointer == gone.socket; });
  const auto found = alive_.find(gone.socket);
  if (found == alive_.end()) return;
  SocketLife& life = found->second.life;
  if ((gone.head.flags & PROBE_IN_CALL) != 0 && !found->second.ended)
    life.holder = runs_in(gone.head.tgid, gone.comm), life.holder_only_listens = false;
  if ((gone.head.flags & PROBE_IN_CGROUP) != 0) life.in_cgroup = true;
  end(found->second, at, on_ended);
  forget(gone.socket);
}

// Who listens for it, where that is one process.
std::optional<recording::Holder> LifeTracker::listens_for(const SocketLife& life) const {
  const auto on_port = listeners_.find(life.local.port);
  if (on_port == listeners_.end()) return std::nullopt;
  std::optional<recording::Holder> found;
  for (const Listener& listener : on_port->second) {
    if (!is_same_namespace(listener.netns, life.netns)) continue;
    if (!listener.ip.is_unspecified() && listener.ip != life.local.ip) continue;
    if (found && found->pid != listener.holder.pid) return std::nullopt;
    found = listener.holder;
  }
  return found;
}

void LifeTracker::on_listener(const probe_state& state, const recording::Holder& runs) {
  auto& on_port = listeners_[state.socket.local_port];
  std::erase_if(on_port, [&](const Listener& one) { return one.cookie == state.socket.cookie; });
  if (state.new_state == state_listen) {
    on_port.push_back({state.socket.netns, state.socket.cookie,
                       address(state.socket.family, state.socket.local, state.socket.local_port).ip, runs});
  } else {
    if (on_port.empty()) listeners_.erase(state.socket.local_port);
    if (runs.pid != 0) closing_listeners_.push_back({state.head.tid, state.socket.pointer, runs});
  }
}

// Only a call on the socket itself tells who holds it; a segment is taken in by whoever happens to run.
void LifeTracker::hold(SocketLife& life, const probe_state& state) const {
  if ((state.head.flags & PROBE_IN_CALL) != 0) {
    life.holder = runs_in(state.head.tgid, state.comm), life.holder_only_listens = false;
    const bool closes =
        state.new_state == state_fin_wait_1 || state.new_state == state_last_ack || state.new_state == state_closed;
    if (closes && life.closer.pid == 0) life.closer = life.holder;
    if ((state.head.flags & PROBE_EXITING) != 0) life.closed_by_exit = true;
    if ((state.head.flags & PROBE_IN_CGROUP) != 0) life.in_cgroup = true;
    return;
  }
  if (life.opener || (life.holder.pid != 0 && !life.holder_only_listens)) return;
  const auto closes = std::ranges::find(closing_listeners_, state.head.tid, &ClosingListener::tid);
  if (state.new_state == state_closed && closes != closing_listeners_.end())
    life.holder = life.closer = closes->holder, life.holder_only_listens = true;
  else if (life.holder.pid == 0)
    if (const auto listens = listens_for(life)) life.holder = *listens, life.holder_only_listens = true;
}

void LifeTracker::on_state(const probe_state& state, base::WallTime at, const OnOpened& on_opened,
                           const OnEnded& on_ended) {
  // A socket may connect again after it was refused, or connect(AF_UNSPEC): another connection.
  const bool begins = state.new_state == state_listen || state.new_state == state_syn_sent;
  if (begins && state.old_state == state_closed)
    if (const auto former = alive_.find(state.socket.pointer); former != alive_.end()) {
      end(former->second, at, on_ended);
      forget(state.socket.pointer);
    }
  if (state.new_state == state_listen || state.old_state == state_listen) {
    const bool in_call = (state.head.flags & PROBE_IN_CALL) != 0;
    return on_listener(state, in_call ? runs_in(state.head.tgid, state.comm) : recording::Holder{});
  }
  Alive* alive = find(state.socket, at, on_ended);
  if (alive == nullptr) return;
  SocketLife& life = alive->life;
  if (life.state_count == 0 && state.old_state != state_closed && state.old_state != state_syn_received) {
    life.began_before_watching = true;
    enter(life, state_of_kernel(state.old_state));
    life.established = true;
  }
  const bool was_established = life.established;
  enter(life, state_of_kernel(state.new_state));
  hold(life, state);
  if (state.new_state == state_close_wait) life.waits_since = at;
  if (state.new_state == state_closed) {
    life.bytes_sent = state.bytes_sent, life.bytes_received = state.bytes_received;
    life.retransmissions = state.retransmissions, life.srtt_us = state.srtt_us;
    // A reset's reason may still come: what a socket is destroyed for tells its end. FIN and TIME-WAIT destroy it at once.
    alive->closed_at = at;
    closed_.push_back({at, alive->pointer, life.socket});
  }
  if (!was_established && life.established) on_opened(life);
  make_room(on_ended);
}

// Whose end sent or got it. By the socket itself, not by its ends, where the kernel names one; a TIME-WAIT or FIN-WAIT-2 entry has its
// socket's cookie and ends, but not its address.
SocketLife* LifeTracker::reset_one(const probe_reset& reset) {
  const std::uint64_t cookie = reset.socket.cookie;
  if (const auto found = alive_.find(reset.socket.pointer);
      found != alive_.end() && (cookie == 0 || found->second.life.socket == cookie))
    return &found->second.life;
  const Ends ends{address(reset.socket.family, reset.socket.local, reset.socket.local_port),
                  address(reset.socket.family, reset.socket.remote, reset.socket.remote_port)};
  const auto [first, last] = waiting_.equal_range(ends);
  for (auto it = first; it != last; ++it)
    if (is_same_namespace(it->second.netns, reset.socket.netns) && (cookie == 0 || it->second.socket == cookie))
      return &it->second;
  if (cookie != 0) return nullptr;
  const auto [begin, end] = by_ends_.equal_range(ends);
  for (auto it = begin; it != end; ++it)
    if (is_same_namespace(it->second.netns, reset.socket.netns))
      if (const auto alive = alive_.find(it->second.pointer); alive != alive_.end()) return &alive->second.life;
  return nullptr;
}

void LifeTracker::on_reset(const probe_reset& reset, base::WallTime at, const OnEnded& on_ended) {
  const bool sent = reset.head.kind == PROBE_RESET_SENT;
  SocketLife* life = reset_one(reset);
  // Of a listener or of no socket: the other end tells.
  if (life == nullptr && (reset.socket.cookie == 0 || reset.socket.state == state_listen)) return;
  if (life == nullptr) {
    Alive* alive = find(reset.socket, at, on_ended);
    if (alive == nullptr) return;
    life = &alive->life;
  }
  if (!sent) {
    life->reset_received = true;
  } else {
    life->reset_sent = true, life->reset_active = reset.active != 0;
    // Several may be sent; one that answers data tells the story.
    if (reset.answered != ~0U)
      life->reset_answers_data = life->reset_answers_data.value_or(false) || reset.answered > 0;
    if (reset.reason < options_.reset_reasons.size()) life->reset_reason = options_.reset_reasons[reset.reason];
    life->reset_cause = cause_of(reset, life->reset_reason);
  }
  make_room(on_ended);
}

// By the kernel's stack; "": not known.
std::string LifeTracker::cause_of(const probe_reset& reset, std::string_view reason) const {
  if (options_.symbols == nullptr || reset.frames <= 0) return {};
  std::vector<std::string_view> frames;
  for (const __u64 frame : std::span(reset.stack).first(static_cast<std::size_t>(reset.frames) / sizeof(__u64)))
    frames.push_back(options_.symbols->name(frame));
  const std::string_view name = classify(frames).name;
  if (name == "unknown") return {};
  if (name != "close.unread_data") return std::string(name);
  return std::string(cause_of_closing_reset({reason, reset.unread != 0, reset.linger2_below_zero != 0}));
}

// tcp_ack() takes back icsk_probes_out with each answer: a window probe that was acknowledged is none that waits.
void LifeTracker::on_error(const probe_error& error, base::WallTime at, const OnEnded& on_ended) {
  if (error.error == 0) return;  // it was taken
  Alive* alive = find(error.socket, at, on_ended);
  if (alive == nullptr) return;
  alive->life.error = error.error;
  alive->life.window_stayed_shut = error.error == ETIMEDOUT && error.send_window == 0 && error.probes_waiting == 0;
}

const SocketLife* LifeTracker::untold(const Place& place) const {
  if (place.pointer == 0) {
    const auto known = before_.find(place.cookie);
    return known == before_.end() || told_before_.contains(place.cookie) ? nullptr : &known->second;
  }
  const auto found = alive_.find(place.pointer);
  return found == alive_.end() || found->second.ended || found->second.told ? nullptr : &found->second.life;
}

const LifeTracker::Place* LifeTracker::living_peer(const SocketLife& life) const {
  const auto found = peer_among(life, by_ends_.equal_range({life.remote, life.local}), by_ends_.end(),
                                [this](const Place& place) { return untold(place); });
  return found == by_ends_.end() ? nullptr : &found->second;
}

LifeTracker::Waiting::iterator LifeTracker::waiting_peer(const SocketLife& life) {
  return peer_among(life, waiting_.equal_range({life.remote, life.local}), waiting_.end(),
                    [](const SocketLife& one) { return &one; });
}

void LifeTracker::end(Alive& alive, base::WallTime at, const OnEnded& on_ended) {
  if (alive.ended) return;
  alive.ended = true;
  SocketLife& life = alive.life;
  life.over = true;
  life.ended = alive.closed_at.value_or(at);
  leave_out_flags(life);
  // socket() and close(), or one that was bound only: no connection. A socket that is connected to itself is its own other end.
  if (alive.told || life.state_count == 0 || (!life.opener && !life.established)) return;
  if (life.local == life.remote) return on_ended({life, std::nullopt});
  if (const auto waiting = waiting_peer(life); waiting != waiting_.end()) {
    // The one who opened tells the story.
    SocketLife peer = std::move(waiting->second);
    waiting_.erase(waiting);
    if (life.opener || !peer.opener)
      on_ended({life, std::move(peer)});
    else
      on_ended({std::move(peer), life});
    return;
  }
  if (living_peer(life) != nullptr)
    waiting_.emplace(Ends{life.local, life.remote}, life);
  else
    on_ended({life, std::nullopt});
}

void LifeTracker::tell_with_living_peer(SocketLife&& life, base::WallTime now, const OnEnded& on_ended) {
  const Place* place = living_peer(life);
  if (place == nullptr) return on_ended({std::move(life), std::nullopt});
  SocketLife peer = *untold(*place);
  peer.ended = now;
  if (place->pointer != 0)
    alive_.at(place->pointer).told = true;
  else
    told_before_.insert(place->cookie);
  if (life.opener || !peer.opener)
    on_ended({std::move(life), std::move(peer)});
  else
    on_ended({std::move(peer), std::move(life)});
}

// The same ends are used again: whatever of a former connection waits is told now, lest the new one's end be taken for its.
void LifeTracker::tell_former(const SocketLife& life, const OnEnded& on_ended) {
  const Ends ends{life.local, life.remote};
  for (auto [it, last] = waiting_.equal_range(ends); it != last; ++it) {
    if (!is_same_namespace(it->second.netns, life.netns)) continue;
    SocketLife former = std::move(it->second);
    waiting_.erase(it);
    return tell_with_living_peer(std::move(former), life.opened, on_ended);
  }
}

void LifeTracker::tell_waiting(base::WallTime now, const OnEnded& on_ended, bool all) {
  while (!closed_.empty() && (all || now - closed_.front().at >= waits_for_destruction)) {
    const Closed closed = closed_.front();
    closed_.pop_front();
    const auto found = alive_.find(closed.pointer);
    if (found != alive_.end() && found->second.life.socket == closed.cookie && found->second.closed_at == closed.at)
      end(found->second, now, on_ended);
  }
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    if (!all && now - it->second.ended < waits_for_peer) {
      ++it;
      continue;
    }
    SocketLife life = std::move(it->second);
    it = waiting_.erase(it);
    tell_with_living_peer(std::move(life), now, on_ended);
  }
}

void LifeTracker::for_each_alive(const OnOpened& look) const {
  for (const auto& [_, alive] : alive_)
    if (!alive.ended && (alive.life.established || alive.life.opener)) look(alive.life);
  for (const auto& [_, life] : before_)
    if (life.state() != tcp::State::syn_received) look(life);
}

void LifeTracker::make_room(const OnEnded& on_ended) {
  while (alive_.size() > options_.most_sockets) {
    ++given_up_;
    forget(alive_.begin()->first);
  }
  if (waiting_.size() > options_.most_sockets) tell_waiting({}, on_ended, true);
}

}  // namespace tcpwhy::trace
