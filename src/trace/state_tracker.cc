#include "trace/state_tracker.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <map>
#include <utility>

namespace tcpwhy::trace {
namespace {

// What stands in for a closed socket: inet_timewait_sock.
bool is_closing_entry(const recording::SocketSnapshot& s) {
  return s.holder == recording::HeldBy::kernel && !s.tcp &&
         (s.state == tcp::State::time_wait || s.state == tcp::State::fin_wait_2);
}

// RFC 9293 3.3.2: from these a connection can come to FIN-WAIT-2 or TIME-WAIT.
bool may_become_closing_entry(const recording::SocketSnapshot& s) {
  return s.state == tcp::State::established || s.state == tcp::State::fin_wait_1 || s.state == tcp::State::fin_wait_2 ||
         s.state == tcp::State::closing;
}

// Whether `now`, on the same 4-tuple but under another cookie or none, is what became of `before`.
bool continues(const recording::SocketSnapshot& before, std::uint64_t cookie_before,
               const recording::SocketSnapshot& now) {
  if (is_closing_entry(now) && may_become_closing_entry(before)) return true;
  return (cookie_before == 0 || now.cookie == 0) && before.state == now.state;
}

bool timers_moved(const std::optional<recording::TcpDetails>& told, const std::optional<recording::TcpDetails>& now) {
  if (!told || !now) return false;
  if (told->ato_us != now->ato_us) return true;
  const std::int64_t was = told->rto_us;
  return now->rto_us != told->rto_us && 2 * std::abs(std::int64_t{now->rto_us} - was) >= was;
}

bool queues_or_state_moved(const recording::SocketSnapshot& before, const recording::SocketSnapshot& now) {
  return before.state != now.state || before.holder != now.holder || before.receive_queue != now.receive_queue ||
         before.send_queue != now.send_queue;
}

recording::SocketState state_event(const recording::SocketSnapshot& socket, tcp::State from, tcp::State to) {
  recording::SocketState event;
  event.socket = socket.cookie;
  event.local = socket.local;
  event.remote = socket.remote;
  event.from = from;
  event.to = to;
  if (to != tcp::State::closed) {
    event.receive_queue = socket.receive_queue;
    event.send_queue = socket.send_queue;
  }
  event.orphan = socket.holder == recording::HeldBy::kernel;
  if (socket.tcp) {
    event.delayed_ack_timeout_us = socket.tcp->ato_us;
    event.retransmission_timeout_us = socket.tcp->rto_us;
  }
  return event;
}

// Which socket of the sample each tracked one has become; each is taken once.
class Successors {
 public:
  explicit Successors(const std::vector<recording::SocketSnapshot>& sockets)
      : sockets_(sockets), taken_(sockets.size(), false) {
    for (std::size_t i = 0; i < sockets.size(); ++i) {
      if (sockets[i].cookie != 0) by_cookie_.emplace(sockets[i].cookie, i);
      by_tuple_.emplace(std::pair(sockets[i].local, sockets[i].remote), i);
    }
  }

  // A socket that failed to connect may connect again elsewhere, or listen, under its cookie: it is the same socket.
  std::optional<std::size_t> take_by_cookie(std::uint64_t cookie) {
    const auto found = by_cookie_.find(cookie);
    if (found == by_cookie_.end() || taken_[found->second]) return std::nullopt;
    taken_[found->second] = true;
    return found->second;
  }
  std::optional<std::size_t> take_by_tuple(const recording::SocketSnapshot& before, std::uint64_t cookie_before) {
    auto [at, end] = by_tuple_.equal_range(std::pair(before.local, before.remote));
    for (; at != end; ++at) {
      if (taken_[at->second] || !continues(before, cookie_before, sockets_[at->second])) continue;
      taken_[at->second] = true;
      return at->second;
    }
    return std::nullopt;
  }
  [[nodiscard]] bool taken(std::size_t index) const { return taken_[index]; }

 private:
  const std::vector<recording::SocketSnapshot>& sockets_;
  std::vector<bool> taken_;
  std::map<std::uint64_t, std::size_t> by_cookie_;
  std::multimap<std::pair<wire::SocketAddress, wire::SocketAddress>, std::size_t> by_tuple_;
};

}  // namespace

void StateTracker::update(const SocketSample& sample, std::vector<recording::Event>& events) {
  Successors successors(sample.sockets);
  std::vector<std::optional<std::size_t>> became(tracked_.size());
  for (std::size_t i = 0; i < tracked_.size(); ++i) became[i] = successors.take_by_cookie(tracked_[i].kernel_cookie);
  for (std::size_t i = 0; i < tracked_.size(); ++i)
    if (!became[i]) became[i] = successors.take_by_tuple(tracked_[i].now, tracked_[i].kernel_cookie);

  const auto tell = [&](recording::SocketState state, std::vector<recording::Event>& where) {
    state.not_before = previous_begin_;
    where.push_back({.at = sample.end, .actor = {}, .what = std::move(state)});
  };
  std::vector<recording::Event> changed;
  std::vector<Tracked> next;
  next.reserve(sample.sockets.size());
  for (std::size_t i = 0; i < tracked_.size(); ++i) {
    Tracked& old = tracked_[i];
    if (!became[i]) {
      if (sample.complete)
        tell(state_event(old.now, old.now.state, tcp::State::closed), events);
      else
        next.push_back(std::move(old));
      continue;
    }
    Tracked tracked{sample.sockets[*became[i]], sample.sockets[*became[i]].cookie, old.told};
    if (old.now.cookie != 0) tracked.now.cookie = old.now.cookie;
    if (queues_or_state_moved(old.now, tracked.now) || timers_moved(old.told, tracked.now.tcp)) {
      tell(state_event(tracked.now, old.now.state, tracked.now.state), changed);
      tracked.told = tracked.now.tcp;
    }
    next.push_back(std::move(tracked));
  }
  std::ranges::move(changed, std::back_inserter(events));

  for (std::size_t i = 0; i < sample.sockets.size(); ++i) {
    const recording::SocketSnapshot& socket = sample.sockets[i];
    if (successors.taken(i)) continue;
    tell(state_event(socket, tcp::State::not_seen, socket.state), events);
    next.push_back({socket, socket.cookie, socket.tcp});
  }
  tracked_ = std::move(next);
  previous_begin_ = sample.begin;
}

std::vector<recording::SocketSnapshot> StateTracker::sockets() const {
  std::vector<recording::SocketSnapshot> sockets;
  sockets.reserve(tracked_.size());
  for (const Tracked& tracked : tracked_) sockets.push_back(tracked.now);
  return sockets;
}

}  // namespace tcpwhy::trace
