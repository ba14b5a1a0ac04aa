// libbpf reads several rings one after the other, and only since 1.3 record by record: to put records of several rings in order, each
// would have to be copied first.
#include "trace/bpf/events/event_rings.h"

#include <linux/bpf.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <utility>

namespace tcpwhy::trace {
namespace {

// Not with each record: the programs read that line with each of theirs.
constexpr std::uint64_t given_back_together = 64U << 10U;

std::uint64_t acquire(const std::uint64_t& position) {
  return std::atomic_ref(const_cast<std::uint64_t&>(position)).load(std::memory_order_acquire);
}

}  // namespace

EventRing::EventRing(std::uint64_t* consumer, const std::uint64_t* producer, std::span<const std::byte> data)
    : consumer_(consumer),
      producer_(producer),
      data_(data),
      position_(*consumer),
      given_back_(position_),
      limit_(position_) {}

void EventRing::look() {
  limit_ = acquire(*producer_);
  find_next();
}

double EventRing::fullness() const {
  const std::uint64_t read_until = acquire(*consumer_);  // before the programs' position, which does not fall behind it
  return static_cast<double>(acquire(*producer_) - read_until) / static_cast<double>(data_.size());
}

void EventRing::find_next() {
  next_ = {};
  unfinished_ = false;
  while (position_ < limit_) {
    const std::byte* const header = data_.data() + (position_ & (data_.size() - 1));
    auto& length_and_flags = *reinterpret_cast<std::uint32_t*>(const_cast<std::byte*>(header));
    const std::uint32_t word = std::atomic_ref(length_and_flags).load(std::memory_order_acquire);
    if ((word & BPF_RINGBUF_BUSY_BIT) != 0) {
      unfinished_ = true;
      return;
    }
    const std::uint32_t length = word & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    after_next_ = position_ + (BPF_RINGBUF_HDR_SZ + length + 7U) / 8U * 8U;
    if ((word & BPF_RINGBUF_DISCARD_BIT) == 0 && length >= sizeof at_ns_) {
      next_ = {header + BPF_RINGBUF_HDR_SZ, length};
      std::memcpy(&at_ns_, next_.data(), sizeof at_ns_);
      return;
    }
    position_ = after_next_;
  }
}

void EventRing::pop() {
  position_ = after_next_;
  if (position_ - given_back_ >= given_back_together) give_back();
  find_next();
}

void EventRing::give_back() {
  if (given_back_ == position_) return;
  std::atomic_ref(*consumer_).store(position_, std::memory_order_release);
  given_back_ = position_;
}

std::size_t consume_in_order(std::span<EventRing> rings, std::uint64_t until, const EventRings::OnRecord& on_record) {
  std::size_t count = 0;
  for (EventRing& ring : rings) ring.look();
  while (true) {
    EventRing* earliest = nullptr;
    std::uint64_t go_on_until = until;  // as long as no other ring's turn has come
    bool unfinished = false;
    for (EventRing& ring : rings) {
      unfinished = unfinished || ring.is_unfinished();
      if (ring.next().empty()) continue;
      if (earliest == nullptr || ring.at_ns() < earliest->at_ns()) {
        if (earliest != nullptr) go_on_until = std::min(go_on_until, earliest->at_ns());
        earliest = &ring;
      } else {
        go_on_until = std::min(go_on_until, ring.at_ns());
      }
    }
    if (unfinished || earliest == nullptr || earliest->at_ns() > until) break;
    do {
      on_record(earliest->next());
      ++count;
      earliest->pop();
    } while (!earliest->next().empty() && earliest->at_ns() <= go_on_until);
  }
  for (EventRing& ring : rings) ring.give_back();
  return count;
}

EventRings::Mapping::~Mapping() {
  if (at_ != nullptr) munmap(at_, bytes_);
}

base::Result<EventRings> EventRings::open(std::vector<base::UniqueFd> maps, std::size_t bytes) {
  EventRings rings;
  rings.wake_ups_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!rings.wake_ups_.valid()) return base::fail_errno("epoll_create1");
  for (const base::UniqueFd& map : maps)
    if (auto added = rings.add(map.get(), bytes); !added) return std::unexpected(added.error());
  rings.maps_ = std::move(maps);
  return rings;
}

base::Status EventRings::add(int map, std::size_t bytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  // The reader's position; then, not to be written to, the programs' position and the data twice.
  void* const consumer = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
  if (consumer == MAP_FAILED) return base::fail_errno({"the probe's ring buffer", "探针的环形缓冲区"});
  mappings_.emplace_back(consumer, page);
  void* const producer = mmap(nullptr, page + 2 * bytes, PROT_READ, MAP_SHARED, map, static_cast<off_t>(page));
  if (producer == MAP_FAILED) return base::fail_errno({"the probe's ring buffer", "探针的环形缓冲区"});
  mappings_.emplace_back(producer, page + 2 * bytes);
  rings_.emplace_back(static_cast<std::uint64_t*>(consumer), static_cast<const std::uint64_t*>(producer),
                      std::span(static_cast<const std::byte*>(producer) + page, bytes));
  // By its edge: records that wait to be asked for are no reason to wake anybody.
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  if (epoll_ctl(wake_ups_.get(), EPOLL_CTL_ADD, map, &event) != 0) return base::fail_errno("epoll_ctl");
  return {};
}

std::size_t EventRings::consume(std::uint64_t until, const OnRecord& on_record) {
  std::array<epoll_event, 32> woken{};
  epoll_wait(wake_ups_.get(), woken.data(), static_cast<int>(woken.size()), 0);
  return consume_in_order(rings_, until, on_record);
}

double EventRings::fullness() const {
  double fullest = 0;
  for (const EventRing& ring : rings_) fullest = std::max(fullest, ring.fullness());
  return fullest;
}

}  // namespace tcpwhy::trace
