#include "trace/ptrace/outbox.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <new>
#include <type_traits>
#include <utility>

#include "base/clock.h"

namespace tcpwhy::trace {
namespace {

// Whoever records is woken so long after the first event that waits, for a switch of tasks with each event would take
// the traced program's time.
constexpr long wait_for_more_ns = 5'000'000;
// A call that is put aside takes 32 bytes (sends and receipts of ten bytes), its two events 560 and their texts.
constexpr std::size_t packed_events = 16;
constexpr std::uint64_t no_socket = std::uint64_t{1} << 63U;  // cookies count up from 1
constexpr std::size_t most_bytes_aside = std::size_t{1} << 30;

// What put_aside() lays out: an InsideCall and its snippets.
bool are_alike(std::span<const std::byte> one, std::span<const std::byte> other) {
  if (one.size() != other.size()) return false;
  const auto without_times = [](std::span<const std::byte> whole) {
    InsideCall call;
    std::memcpy(&call, whole.data(), sizeof call);
    call.call = 0, call.before = {}, call.record.id = call.record.returned_at = 0;
    return call;
  };
  const InsideCall a = without_times(one), b = without_times(other);
  return std::memcmp(&a, &b, sizeof a) == 0 && std::ranges::equal(one.subspan(sizeof a), other.subspan(sizeof b));
}
static_assert(std::has_unique_object_representations_v<InsideCall>);

// One that changes nothing, and is all that there is to tell of it.
bool is_idle(const InsideCall& call) {
  const auto* row = calls::find_call(call.record.number);
  calls::SyscallArguments arguments;
  std::ranges::copy(call.record.arguments, arguments.begin());
  return row != nullptr && call.entry_is_told == 0 && call.at_return.cookie == 0 &&
         changes_nothing(*row, arguments, call.record.result);
}

}  // namespace

Outbox::Outbox(std::size_t most_pending)
    : most_pending_(most_pending),
      ready_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)),
      repeated_(are_alike, [this](std::span<const std::byte> last, const RepeatedCalls::Run& before) {
        std::vector<std::byte> whole(last.begin(), last.end());
        std::memcpy(whole.data() + offsetof(InsideCall, before), &before, sizeof before);
        append(whole);
        if (before.count > 0) ++recorded_;
      }) {}

recording::ActorId Outbox::add_actor(recording::Actor actor) {
  const std::scoped_lock lock(mutex_);
  actors_.push_back(std::move(actor));
  return {actor_count_++};
}

void Outbox::add(recording::Event event) {
  const std::scoped_lock lock(mutex_);
  if (paused_) {
    ++left_out_;
    return;
  }
  if (events_.size() >= most_pending_) {
    ++lost_;
    return;
  }
  try {
    if (ends_repeated(event)) repeated_.end_all();
    events_.push_back(std::move(event));
  } catch (const std::bad_alloc&) {
    return end_for_want_of_memory(1);
  }
  ++recorded_;
  if (events_.size() == 1) be_ready_in(wait_for_more_ns);
}

void Outbox::put_aside(const InsideCall& call, std::span<const std::byte> snippets) {
  const std::scoped_lock lock(mutex_);
  if (paused_) {
    left_out_ += 2;
    return;
  }
  if (aside_.bytes() >= most_bytes_aside || 2 * count_aside_ >= most_pending_ * packed_events) {
    lost_ += 2;
    return;
  }
  try {
    whole_.resize(sizeof call + snippets.size());
    std::memcpy(whole_.data(), &call, sizeof call);
    std::ranges::copy(snippets, whole_.begin() + sizeof call);
    if (is_idle(call)) {
      const std::uint64_t on = call.record.cookie != 0 ? call.record.cookie : no_socket | call.record.tid;
      if (repeated_.hold({on, call.record.id, call.record.returned_at, whole_})) return;
    } else {
      repeated_.end(call.record.cookie);
    }
    append(whole_);
    for (const inside_socket* named : {&call.at_entry, &call.at_return}) {
      if (named->cookie == 0 || named->remote_port == 0 || named->cookie == last_cookie_) continue;
      last_cookie_ = named->cookie;
      const TcpSocket socket = unpacked(*named);
      if (socket.local && socket.remote) conversations_.push_back({*socket.local, *socket.remote});
    }
  } catch (const std::bad_alloc&) {
    return end_for_want_of_memory(2);
  }
}

void Outbox::append(std::span<const std::byte> whole) {
  std::uint32_t number = 0;
  std::memcpy(&number, whole.data() + offsetof(InsideCall, record.number), sizeof number);
  if (count_aside_ == 0) aside_.begin_batch({});
  aside_.append(number, whole);
  ++count_aside_;
  recorded_ += 2;
}

// Now and then one of many calls is told by a stop: it is not among those that are counted, and ends nothing.
bool Outbox::ends_repeated(const recording::Event& event) {
  if (const auto* entered = std::get_if<recording::CallEntered>(&event.what)) {
    const auto* row = calls::find_call(entered->name);
    if (row == nullptr || !changes_nothing(*row, {}, row->effect == calls::Effect::receives ? 0 : -1)) return true;
    entered_[entered->call] = row->effect;
    return false;
  }
  const auto* returned = std::get_if<recording::CallReturned>(&event.what);
  if (returned == nullptr) return true;
  const auto call = entered_.extract(returned->call);
  if (call.empty()) return true;
  const bool moves = call.mapped() == calls::Effect::receives || call.mapped() == calls::Effect::sends ||
                     call.mapped() == calls::Effect::accepts;
  return moves && returned->result > 0;
}

void Outbox::end_repeated() {
  try {
    repeated_.end_all();
  } catch (const std::bad_alloc&) {
    end_for_want_of_memory(2);
  }
}

void Outbox::end_for_want_of_memory(std::uint64_t events) {
  paused_ = true;
  no_memory_for_ += events;
  spare_.reset();
}

void Outbox::pause() {
  const std::scoped_lock lock(mutex_);
  paused_ = true;
}

void Outbox::run_out_of_memory() {
  const std::scoped_lock lock(mutex_);
  end_for_want_of_memory(1);
}

bool Outbox::paused() const {
  const std::scoped_lock lock(mutex_);
  return paused_;
}

std::uint64_t Outbox::recorded() const {
  const std::scoped_lock lock(mutex_);
  return recorded_;
}

std::uint64_t Outbox::left_out() const {
  const std::scoped_lock lock(mutex_);
  return left_out_;
}

void Outbox::take_conversations(std::vector<Conversation>& told) {
  const std::scoped_lock lock(mutex_);
  std::ranges::move(conversations_, std::back_inserter(told));
  conversations_.clear();
}

void Outbox::lose(std::uint64_t events) {
  const std::scoped_lock lock(mutex_);
  lost_ += events;
}

void Outbox::wake() { be_ready_in(1); }

void Outbox::be_ready_in(long ns) {
  const itimerspec once{{0, 0}, {0, ns}};
  ::timerfd_settime(ready_.get(), 0, &once, nullptr);
}

void Outbox::drain(recording::Recording& recording, bool at_end) {
  std::vector<recording::Event> events;
  RecordLog aside;
  std::uint64_t lost = 0, no_memory_for = 0;
  {
    const std::scoped_lock lock(mutex_);
    std::uint64_t ignored = 0;
    [[maybe_unused]] const ssize_t got = ::read(ready_.get(), &ignored, sizeof ignored);
    for (recording::Actor& actor : actors_) {
      in_recording_.push_back({static_cast<std::uint32_t>(recording.actors.size())});
      recording.actors.push_back(std::move(actor));
    }
    actors_.clear();
    events.swap(events_);
    lost = std::exchange(lost_, 0);
    if (at_end) {
      end_repeated();
      std::swap(aside, aside_), count_aside_ = 0;
      no_memory_for = std::exchange(no_memory_for_, 0);
    }
  }
  bool has_room = true;
  const auto hand_over = [&](std::vector<recording::Event>& made) {
    for (recording::Event& event : made) {
      if (!has_room) {
        ++no_memory_for;
        continue;
      }
      if (event.actor.valid()) event.actor = in_recording_.at(event.actor.value);
      try {
        recording.events.push_back(std::move(event));
      } catch (const std::bad_alloc&) {
        has_room = false;
        ++no_memory_for;
      }
    }
    made.clear();
  };
  hand_over(events);
  aside.replay([&](base::Duration, std::span<const std::byte> whole) {
    InsideCall call;
    std::memcpy(&call, whole.data(), sizeof call);
    try {
      if (has_room) append_events(call, whole.subspan(sizeof call), events);
    } catch (const std::bad_alloc&) {
      has_room = false;
    }
    if (!has_room) no_memory_for += 2, events.clear();
    hand_over(events);
  });
  const auto note = [&recording](std::uint64_t count, const char* why) {
    if (count > 0) recording.events.push_back({base::wall_now(), {}, recording::Loss{"events", count, why}});
  };
  if (!has_room) pause();
  note(lost, "the traced programs were faster than the recording");
  note(no_memory_for, "there was no memory for more");
}

}  // namespace tcpwhy::trace
