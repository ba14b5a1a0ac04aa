#include "trace/bpf/lives/life_tracker.h"

#include <sys/socket.h>

#include <cstddef>
#include <cstring>

#include "trace/bpf/events/whole_records.h"
#include "trace/bpf/kernel/kernel_causes.h"
#include "trace/tcp_states.h"

namespace tcpwhy::trace {
namespace {

using namespace std::chrono_literals;

using recording::SocketLife;

// How long an end that is over waits for its peer's, so that one line tells both.
constexpr base::Duration waits_for_peer = 2s;

// In place of its address, of a socket that was there before the watch began: it is waited for like one that has been seen.
constexpr std::uint64_t not_seen_yet = 0;

constexpr std::uint32_t state_closed = 7, state_listen = 10, state_syn_received = 3;

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
    if (socket.state == tcp::State::listen) listeners_[socket.local.port] = holder_of(socket);
  for (const recording::SocketSnapshot& socket : sample.sockets) {
    if (socket.state == tcp::State::listen) continue;
    const recording::Holder holder = holder_of(socket);
    SocketLife life;
    life.socket = socket.cookie, life.local = socket.local, life.remote = socket.remote, life.holder = holder;
    life.opened = sample.end, life.began_before_watching = true,
    life.established = socket.state != tcp::State::syn_sent;
    enter(life, socket.state);
    // Not for certain where the counts don't tell: a listener may be gone.
    life.opener = socket.opener.value_or(!listeners_.contains(socket.local.port));
    if (socket.tcp) by_ends_[{life.local, life.remote}] = not_seen_yet;  // entries of TIME-WAIT are never seen
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

LifeTracker::Alive* LifeTracker::find(const probe_socket& socket, base::WallTime at) {
  if (socket.pointer == 0 || (socket.family != AF_INET && socket.family != AF_INET6)) return nullptr;
  auto [place, made] = alive_.try_emplace(socket.pointer);
  Alive& alive = place->second;
  // The kernel uses an address again as soon as it is free.
  if (!made && alive.life.socket != 0 && socket.cookie != 0 && alive.life.socket != socket.cookie) {
    by_ends_.erase({alive.life.local, alive.life.remote});
    alive = {};
    made = true;
  }
  if (made) {
    if (const auto known = before_.find(socket.cookie); known != before_.end()) {
      alive.life = std::move(known->second);
      before_.erase(known);
    } else {
      alive.life.opened = at;
    }
    alive.pointer = socket.pointer;
  }
  SocketLife& life = alive.life;
  if (socket.cookie != 0) life.socket = socket.cookie;
  const bool whole = socket.local_port != 0 && socket.remote_port != 0;
  if (!whole || alive.has_ends_of(socket)) return &alive;
  const auto local = address(socket.family, socket.local, socket.local_port);
  const auto remote = address(socket.family, socket.remote, socket.remote_port);
  if (!local.ip.is_unspecified()) {
    life.local = local, life.remote = remote;
    by_ends_[{local, remote}] = socket.pointer;
  }
  alive.keep_ends_of(socket);
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
      if (big_enough(sizeof(probe_error))) on_error(*reinterpret_cast<const probe_error*>(record.data()), at);
      return;
    case PROBE_GONE:
      if (big_enough(sizeof(probe_gone)))
        on_gone(reinterpret_cast<const probe_gone*>(record.data())->socket, at, on_ended);
      return;
    default: return;
  }
}

void LifeTracker::on_gone(std::uint64_t pointer, base::WallTime at, const OnEnded& on_ended) {
  const auto found = alive_.find(pointer);
  if (found == alive_.end()) return;
  end(found->second, at, on_ended);
  const SocketLife& life = found->second.life;
  if (const auto ends = by_ends_.find({life.local, life.remote}); ends != by_ends_.end() && ends->second == pointer)
    by_ends_.erase(ends);
  alive_.erase(found);
}

void LifeTracker::on_state(const probe_state& state, base::WallTime at, const OnOpened& on_opened,
                           const OnEnded& on_ended) {
  const auto runs = [&state] {
    return recording::Holder{static_cast<std::int32_t>(state.head.tgid),
                             std::string(state.comm, strnlen(state.comm, sizeof state.comm))};
  };
  if (state.new_state == state_listen) {
    listeners_[state.socket.local_port] = runs();
    return;
  }
  if (state.old_state == state_listen) return;  // a listener that is closed is no connection
  Alive* alive = find(state.socket, at);
  if (alive == nullptr) return;
  SocketLife& life = alive->life;
  // Only a call on the socket itself tells who holds it; a segment is taken in by whoever happens to run.
  const bool in_call = (state.head.flags & PROBE_IN_CALL) != 0;
  if (in_call) life.holder = runs();
  if (life.holder.pid == 0 && !life.opener)
    if (const auto listener = listeners_.find(state.socket.local_port); listener != listeners_.end())
      life.holder = listener->second;
  if (life.state_count == 0 && state.old_state != state_closed && state.old_state != state_syn_received) {
    life.began_before_watching = true;
    enter(life, state_of_kernel(state.old_state));
    life.established = true;
  }
  const bool was_established = life.established;
  enter(life, state_of_kernel(state.new_state));
  if (in_call && (state.head.flags & PROBE_EXITING) != 0) life.closed_by_exit = true;
  if (state.new_state == state_closed) {
    life.bytes_sent = state.bytes_sent, life.bytes_received = state.bytes_received;
    life.retransmissions = state.retransmissions, life.srtt_us = state.srtt_us;
  }
  if (!was_established && life.established) on_opened(life);
  // A reset's reason may still come: what a socket is destroyed for tells its end. FIN and TIME-WAIT destroy it at once.
  make_room(on_ended);
}

void LifeTracker::on_reset(const probe_reset& reset, base::WallTime at, const OnEnded& on_ended) {
  const bool sent = reset.head.kind == PROBE_RESET_SENT;
  const auto fill = [&](SocketLife& life) {
    if (!sent) {
      life.reset_received = true;
      return;
    }
    life.reset_sent = true, life.reset_active = reset.active != 0;
    // Several may be sent; one that answers data tells the story.
    if (reset.answered != ~0U) life.reset_answers_data = life.reset_answers_data.value_or(false) || reset.answered > 0;
    if (reset.reason < options_.reset_reasons.size()) life.reset_reason = options_.reset_reasons[reset.reason];
    life.reset_cause = cause_of(reset, life.reset_reason);
  };
  const Ends ends{address(reset.socket.family, reset.socket.local, reset.socket.local_port),
                  address(reset.socket.family, reset.socket.remote, reset.socket.remote_port)};
  // A TIME-WAIT or FIN-WAIT-2 entry has its socket's ends, but not its address.
  if (const auto waiting = waiting_.find(ends); waiting != waiting_.end()) return fill(waiting->second);
  const auto found = by_ends_.find(ends);
  if (found != by_ends_.end()) {
    if (const auto alive = alive_.find(found->second); alive != alive_.end()) fill(alive->second.life);
    return;
  }
  if (reset.socket.cookie == 0) return;  // of no socket: a refused SYN; the other end tells
  if (Alive* alive = find(reset.socket, at)) fill(alive->life);
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

void LifeTracker::on_error(const probe_error& error, base::WallTime at) {
  if (error.error == 0) return;  // it was taken
  if (Alive* alive = find(error.socket, at)) alive->life.error = error.error;
}

void LifeTracker::end(Alive& alive, base::WallTime at, const OnEnded& on_ended) {
  if (alive.told) return;
  alive.told = true;
  SocketLife& life = alive.life;
  life.ended = at;
  leave_out_flags(life);
  // socket() and close(), or one that was bound only: no connection.
  if (life.state_count == 0 || (!life.opener && !life.established)) return;
  const Ends other{life.remote, life.local};
  if (auto waiting = waiting_.extract(other); !waiting.empty()) {
    // The one who opened tells the story.
    SocketLife peer = std::move(waiting.mapped());
    if (life.opener || !peer.opener)
      on_ended({life, std::move(peer)});
    else
      on_ended({std::move(peer), life});
    return;
  }
  if (by_ends_.contains(other))
    waiting_[{life.local, life.remote}] = life;
  else
    on_ended({life, std::nullopt});
}

void LifeTracker::tell_waiting(base::WallTime now, const OnEnded& on_ended, bool all) {
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    if (!all && now - it->second.ended < waits_for_peer) {
      ++it;
      continue;
    }
    const auto other = by_ends_.find({it->first.second, it->first.first});
    std::optional<SocketLife> peer;
    if (other != by_ends_.end())
      if (const auto alive = alive_.find(other->second); alive != alive_.end()) peer = alive->second.life;
    on_ended({std::move(it->second), std::move(peer)});
    it = waiting_.erase(it);
  }
}

void LifeTracker::make_room(const OnEnded& on_ended) {
  while (alive_.size() > options_.most_sockets) {
    const auto victim = alive_.begin();
    ++given_up_;
    by_ends_.erase({victim->second.life.local, victim->second.life.remote});
    alive_.erase(victim);
  }
  if (waiting_.size() > options_.most_sockets) tell_waiting({}, on_ended, true);
}

}  // namespace tcpwhy::trace
