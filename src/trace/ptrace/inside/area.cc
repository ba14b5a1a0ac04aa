#include "trace/ptrace/inside/area.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string_view>

#include "base/clock.h"
#include "calls/call.h"

namespace tcpwhy::trace {
namespace {

using calls::Effect;
using calls::Piece;

constexpr std::uint64_t most_age_ns = 20'000'000;
constexpr std::uint64_t given_up_after_ns = 1'000'000'000;
constexpr std::uint32_t stacks_a_second = 200;
constexpr std::uint64_t latest_credible = std::uint64_t{1} << 62U;  // in the year 2116

template <class T>
std::atomic_ref<T> shared_with_them(T& value) {
  return std::atomic_ref<T>(value);
}

std::uint64_t now() { return static_cast<std::uint64_t>(base::wall_now().time_since_epoch().count()); }

constexpr std::uint64_t aligned(std::uint64_t bytes) { return (bytes + 7) & ~std::uint64_t{7}; }

// What a piece takes at most, with the heads of its snippets.
std::uint64_t room_of(const Piece& piece) {
  constexpr std::uint64_t head = sizeof(inside_snippet), address = 128, message = 56;
  const std::uint64_t vectors = head + INSIDE_VECTORS * 16 + INSIDE_VECTORS_FILLED * (head + aligned(piece.constant));
  switch (piece.shape) {
    case Piece::Shape::io_vectors: return vectors;
    case Piece::Shape::message_header: return head + message + head + address + vectors;
    case Piece::Shape::value_length: return head + 8 + head + aligned(piece.constant);
    case Piece::Shape::bytes: break;
  }
  return head + aligned(piece.constant);
}

inside_policy policy_of(const calls::CallRow& row) {
  if (!row.recorded_inside) return INSIDE_STOPS;
  if (row.effect == Effect::makes_socket) return INSIDE_MAKES;
  return row.effect == Effect::waits && !row.only_on_tcp ? INSIDE_WAITS : INSIDE_ON_SOCKET;
}

inside_row row_of(const calls::CallRow& row) {
  inside_row made{};
  made.policy = static_cast<__u8>(policy_of(row));
  made.fd_argument = row.fd_argument;
  made.second_fd_argument = row.second_fd_argument;
  made.wants_stack = row.wants_stack;
  made.closes = row.effect == Effect::closes;
  made.result_is_fd = row.brings_socket();
  made.asks_socket = is_opening(row.effect);
  made.passes = row.takes_message && !row.counts_messages;
  made.duplicates = row.name == "fcntl";
  made.opening_flags = row.number == SYS_sendto ? 3 : row.number == SYS_sendmsg ? 2 : -1;
  made.keeps = row.writes_over_arguments;
  made.piece_count = std::min<__u8>(row.piece_count, INSIDE_PIECES);
  std::uint64_t room = 0;
  for (std::size_t i = 0; i < made.piece_count; ++i) {
    const Piece& piece = row.pieces.at(i);
    made.piece[i] = calls::layout_of(piece);
    room += room_of(piece);
  }
  made.room = static_cast<__u16>(std::min<std::uint64_t>(room, INSIDE_MOST_SNIPPET_BYTES));
  return made;
}

}  // namespace

const InsideRows& inside_rows() {
  static const InsideRows rows = [] {
    InsideRows made{};
    for (const calls::CallRow& row : calls::traced_calls())
      if (row.number < INSIDE_CALLS) made.at(static_cast<std::size_t>(row.number)) = row_of(row);
    return made;
  }();
  return rows;
}

namespace {

// Whether a recorder can have left such a record; programs that write into the ring leave others.
bool is_credible(const inside_record& record) {
  if (record.number >= INSIDE_CALLS || record.id > latest_credible || record.returned_at > latest_credible)
    return false;
  const inside_row& row = inside_rows().at(record.number);
  if (row.policy == INSIDE_STOPS || record.entry_bytes > record.snippet_bytes) return false;
  return record.socket.cookie == 0 || (row.asks_socket != 0 && (row.result_is_fd != 0 || row.fd_argument >= 0));
}

// Its size is as it is for good: who reads beyond the end of a file that somebody has shortened is killed (SIGBUS).
base::UniqueFd make_memory(std::size_t bytes) {
  base::UniqueFd memory(::memfd_create("tcpwhy", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.valid() || ::ftruncate(memory.get(), static_cast<off_t>(bytes)) != 0 ||
      ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    memory.reset();
  return memory;
}

}  // namespace

std::unique_ptr<InsideArea> InsideArea::open() {
  // Whether two processes share their memory must be known: a fork needs a table of its own.
  if (::syscall(SYS_kcmp, ::getpid(), ::getpid(), KCMP_VM, 0, 0) != 0) return nullptr;
  std::unique_ptr<InsideArea> made(new InsideArea);
  made->memory_ = make_memory(sizeof(inside_shared));
  if (!made->memory_.valid()) return nullptr;
  void* const memory =
      ::mmap(nullptr, sizeof(inside_shared), PROT_READ | PROT_WRITE, MAP_SHARED, made->memory_.get(), 0);
  if (memory == MAP_FAILED) return nullptr;
  made->shared_ = static_cast<inside_shared*>(memory);
  made->shared_->observing = 1;
  made->shared_->most_age = most_age_ns;
  made->shared_->stacks_a_second = stacks_a_second;
  return made;
}

InsideArea::~InsideArea() {
  if (shared_ != nullptr) ::munmap(shared_, sizeof(inside_shared));
}

void InsideArea::stop_observing() { shared_with_them(shared_->observing) = 0; }

void InsideArea::advance(std::uint64_t length) {
  std::memset(shared_->ring + tail_ % INSIDE_RING_BYTES, 0, length);
  tail_ += length;
  shared_with_them(shared_->tail).store(tail_, std::memory_order_release);
  stuck_since_ = 0;
}

bool InsideArea::is_empty() const { return is_broken_ || head() == tail_; }

std::uint64_t InsideArea::head() const { return shared_with_them(shared_->head).load(std::memory_order_acquire); }

void InsideArea::take(const Taker& f, bool nobody_lives) {
  shared_with_them(shared_->taken_at).store(now(), std::memory_order_relaxed);
  // What is begun meanwhile is left to the next time: a program may be faster than we are.
  const std::uint64_t head = this->head();
  if (is_broken_) return;
  if (head - tail_ > INSIDE_RING_BYTES) return give_up();
  while (tail_ != head) {
    std::uint8_t* const at = shared_->ring + tail_ % INSIDE_RING_BYTES;
    const std::uint64_t word = shared_with_them(*reinterpret_cast<std::uint64_t*>(at)).load(std::memory_order_acquire);
    const std::uint64_t length = word & 0xffff'ffff, state = word >> 32U;
    if (state != INSIDE_DONE && state != INSIDE_PADDING) {
      if (!skip_what_is_stuck(head, nobody_lives)) return;
      continue;
    }
    const bool fits = length >= 8 && length % 8 == 0 && length <= head - tail_ &&
                      length <= INSIDE_RING_BYTES - tail_ % INSIDE_RING_BYTES;
    if (!fits) return give_up();
    if (state == INSIDE_DONE && !take_record({reinterpret_cast<const std::byte*>(at) + 8, length - 8}, f)) ++lost_;
    advance(length);
  }
}

// False: it is none. Whoever wrote it may still write there.
bool InsideArea::take_record(std::span<const std::byte> theirs, const Taker& f) {
  std::array<std::byte, sizeof(inside_record) + INSIDE_MOST_SNIPPET_BYTES> copy;
  inside_record record;
  if (theirs.size() < sizeof record || theirs.size() > sizeof copy) return false;
  std::memcpy(copy.data(), theirs.data(), theirs.size());
  std::memcpy(&record, copy.data(), sizeof record);
  const auto rest = std::span(copy).first(theirs.size()).subspan(sizeof record);
  if (record.snippet_bytes > rest.size() || !is_credible(record)) return false;
  f(record, rest.first(record.snippet_bytes));
  return true;
}

// A program has written where it shouldn't: nothing can be found any more.
void InsideArea::give_up() {
  ++lost_;
  is_broken_ = true;
  for (std::uint32_t table = 0; table < INSIDE_TABLES; ++table) disable(table);
}

// Who was killed between taking its room and saying so leaves a hole: nobody waits for it for longer than a second.
// The next record is where memory isn't clear any more.
bool InsideArea::skip_what_is_stuck(std::uint64_t head, bool at_once) {
  const std::uint64_t tail = tail_;
  if (at_once) stuck_at_ = tail, stuck_since_ = 1;
  if (stuck_since_ == 0 || stuck_at_ != tail) {
    stuck_at_ = tail, stuck_since_ = now();
    return false;
  }
  if (now() - stuck_since_ < given_up_after_ns) return false;
  const auto word_at = [&](std::uint64_t position) {
    std::uint64_t word = 0;
    std::memcpy(&word, shared_->ring + position % INSIDE_RING_BYTES, sizeof word);
    return word;
  };
  const std::uint64_t to_end = std::min(head - tail, INSIDE_RING_BYTES - tail % INSIDE_RING_BYTES);
  std::uint64_t length = word_at(tail) & 0xffff'ffff;
  if (length == 0 || length % 8 != 0 || length > to_end)
    for (length = 8; length < to_end && word_at(tail + length) == 0;) length += 8;
  ++lost_;
  advance(length);
  return true;
}

std::uint64_t InsideArea::take_lost() {
  constexpr std::uint64_t most_credible = std::uint64_t{1} << 32U;
  const std::uint64_t theirs = shared_with_them(shared_->lost).exchange(0, std::memory_order_relaxed);
  return std::exchange(lost_, 0) + (theirs < most_credible ? theirs : 1);
}

std::optional<std::uint32_t> InsideArea::take_table() {
  const auto free = std::ranges::find(in_use_, false);
  if (free == in_use_.end()) return std::nullopt;
  *free = true;
  const auto table = static_cast<std::uint32_t>(free - in_use_.begin());
  std::memset(&shared_->tables[table], 0, sizeof(inside_table));
  shared_with_them(shared_->tables[table].enabled) = is_broken_ ? 0 : 1;
  return table;
}

void InsideArea::disable(std::uint32_t table) { shared_with_them(shared_->tables[table].enabled) = 0; }

void InsideArea::give_back_table(std::uint32_t table) {
  disable(table);
  in_use_.at(table) = false;
}

bool InsideArea::has_tcp(std::uint32_t table) const { return shared_with_them(shared_->tables[table].has_tcp) != 0; }

void InsideArea::set_has_tcp(std::uint32_t table, bool has) {
  // The process may have learnt otherwise, and its record not be taken yet.
  if (!has && !is_empty()) return;
  shared_with_them(shared_->tables[table].has_tcp).store(has ? 1 : 0, std::memory_order_relaxed);
}

std::uint64_t InsideArea::socket_of(std::uint32_t table, std::int32_t fd) const {
  if (fd < 0 || fd >= INSIDE_DESCRIPTORS) return INSIDE_UNKNOWN;
  return shared_with_them(shared_->tables[table].socket[fd]);
}

void InsideArea::forget(std::uint32_t table, std::int32_t fd) {
  if (fd >= 0 && fd < INSIDE_DESCRIPTORS) shared_with_them(shared_->tables[table].socket[fd]) = INSIDE_UNKNOWN;
}

void InsideArea::learn(std::uint32_t table, std::int32_t fd, std::uint64_t socket) {
  if (fd < 0 || fd >= INSIDE_DESCRIPTORS) return;
  __u64 expected = INSIDE_UNKNOWN;
  shared_with_them(shared_->tables[table].socket[fd]).compare_exchange_strong(expected, socket);
}

std::optional<inside_slot> InsideArea::call_of(pid_t tid) const {
  inside_slot& slot = shared_->slots[static_cast<std::uint32_t>(tid) % INSIDE_SLOTS];
  const inside_slot copy = slot;
  std::atomic_thread_fence(std::memory_order_acquire);
  // The thread may run on meanwhile.
  if (copy.tid != static_cast<std::uint32_t>(tid) || copy.number >= INSIDE_CALLS || copy.id == 0 ||
      copy.id > latest_credible || shared_with_them(slot.id) != copy.id)
    return std::nullopt;
  return copy;
}

void InsideArea::end_call(pid_t tid) {
  inside_slot& slot = shared_->slots[static_cast<std::uint32_t>(tid) % INSIDE_SLOTS];
  if (shared_with_them(slot.tid) != static_cast<std::uint32_t>(tid)) return;
  shared_with_them(slot.number) = INSIDE_NO_CALL;
  shared_with_them(slot.id) = 0;
}

void InsideArea::release_slot(pid_t tid) {
  end_call(tid);
  std::uint32_t owner = static_cast<std::uint32_t>(tid);
  shared_with_them(shared_->slots[owner % INSIDE_SLOTS].tid).compare_exchange_strong(owner, 0);
}

}  // namespace tcpwhy::trace
