// Records of calls and segments, put aside while the traced program runs and decoded afterwards. Packed: a busy
// server makes a hundred megabytes of them a second, and to be handed so much fresh memory costs the reader several
// times what all else does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/huge_page_allocator.h"

namespace tcpwhy::trace {

// Each record is told by what differs from the one before of its kind and size: a bit for each word of four bytes,
// and the words that are not the same, as XOR. Between two calls of a server on its sockets that is a few words of
// fifty.
class RecordLog {
 public:
  // The clock (wall minus monotonic) of the records from here on.
  void begin_batch(base::Duration clock) { batches_.push_back({clock, count_}); }
  // May throw std::bad_alloc: then the record is not in it. Of any length below 256 KB. `kind`, below 2^14: those of one kind and length are much alike.
  void append(std::uint32_t kind, std::span<const std::byte> record);
  [[nodiscard]] std::size_t bytes() const { return bytes_; }  // that it takes
  [[nodiscard]] std::uint64_t records() const { return count_; }

  // Calls f(clock, record) for each, in order, and forgets them. `record` is aligned for any type, and valid until f
  // returns.
  template <class F>
  void replay(F&& f) {
    Memory memory;
    std::vector<std::uint64_t> record;
    std::uint64_t number = 0;
    std::size_t batch = 0;
    for (Piece& piece : pieces_) {
      for (const std::uint32_t* at = piece.words(); at != piece.end(); ++number) {
        const std::size_t bytes = unpack(at, record, memory);
        while (batch + 1 < batches_.size() && batches_[batch + 1].first <= number) ++batch;
        f(batches_[batch].clock, std::as_bytes(std::span(record)).first(bytes));
      }
      piece = Piece(0);
    }
    *this = {};
  }

 private:
  // To be handed page after small page costs more than what is written there.
  class Piece {
   public:
    explicit Piece(std::size_t capacity)  // in words
        : words_(capacity > 0 ? Allocator().allocate(capacity) : nullptr, Free{capacity}), capacity_(capacity) {}
    [[nodiscard]] std::uint32_t* words() const { return words_.get(); }
    [[nodiscard]] std::uint32_t* end() const { return words_.get() + size_; }
    [[nodiscard]] bool has_room_for(std::size_t words) const { return words <= capacity_ - size_; }
    void set_end(const std::uint32_t* end) { size_ = static_cast<std::size_t>(end - words_.get()); }

   private:
    using Allocator = base::HugePageAllocator<std::uint32_t>;
    struct Free {
      std::size_t capacity;
      void operator()(std::uint32_t* memory) const { Allocator().deallocate(memory, capacity); }
    };
    std::unique_ptr<std::uint32_t, Free> words_;
    std::size_t size_ = 0, capacity_;
  };
  // The record before, by kind and size; its first words only.
  static constexpr std::size_t remembered_words = 192;
  struct Before {
    std::uint32_t words[remembered_words] = {};
  };
  class Memory {
   public:
    Before& of(std::uint32_t kind, std::size_t bytes);

   private:
    static constexpr std::size_t places = 1024;
    std::vector<std::unique_ptr<Before>> before_ = std::vector<std::unique_ptr<Before>>(places);
  };
  struct Batch {
    base::Duration clock;
    std::uint64_t first;  // number of its first record
  };

  static std::size_t unpack(const std::uint32_t*& at, std::vector<std::uint64_t>& record, Memory& memory);

  Memory memory_;
  std::vector<Piece> pieces_;
  std::vector<Batch> batches_;
  std::uint64_t count_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace tcpwhy::trace
