#include "capfile/input/unpacker.h"

#include <bzlib.h>
#include <fmt/format.h>
#include <isa-l/igzip_lib.h>
#include <lz4frame.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/check.h"
#include "base/format.h"

namespace tcpwhy::capfile {
namespace {

using Packed = std::span<const std::uint8_t>;
using Room = std::span<std::uint8_t>;

// The most that is unpacked by one format's window or dictionary: what `xz -9` (65 MiB) and `zstd --ultra --long=27` need.
constexpr std::uint64_t most_memory = 128U << 20U;

// Several of the libraries count in unsigned int, and take bytes that they only read by a pointer to what may be written.
template <class Stream>
void offer(Stream& stream, Packed packed, Room room) {
  constexpr std::size_t most = 1U << 30U;
  stream.next_in = reinterpret_cast<decltype(stream.next_in)>(const_cast<std::uint8_t*>(packed.data()));
  stream.avail_in = static_cast<unsigned>(std::min(packed.size(), most));
  stream.next_out = reinterpret_cast<decltype(stream.next_out)>(room.data());
  stream.avail_out = static_cast<unsigned>(std::min(room.size(), most));
}
template <class Stream>
Unpacker::Step step_of(const Stream& stream, Packed packed, Room room, Unpacker::State state) {
  const auto* const in = reinterpret_cast<const std::uint8_t*>(stream.next_in);
  const auto* const out = reinterpret_cast<const std::uint8_t*>(stream.next_out);
  return {static_cast<std::size_t>(in - packed.data()), static_cast<std::size_t>(out - room.data()), state};
}

// The header of a member (RFC 1952 2.3), in pieces of any size. isal_inflate() takes headers too, but wants the whole of one at a time.
class GzipHeader {
 public:
  static constexpr std::array<std::uint8_t, 2> magic{0x1f, 0x8b};
  enum class State : std::uint8_t { inside, over, other, damaged };

  // How many of `packed` are the header's, which is `state()` behind them.
  std::size_t take(Packed packed) {
    std::size_t used = 0, summed = 0;
    while (used < packed.size() && state_ == State::inside) {
      const bool is_summed = field_ != Field::sum;
      take(packed[used++]);
      if (is_summed) summed = used;
    }
    sum_ = static_cast<std::uint32_t>(::crc32_z(sum_, packed.data(), summed));
    if (state_ == State::over && (flags_ & has_sum) != 0 && (sum_ & 0xffffU) != value_) state_ = State::damaged;
    return used;
  }
  [[nodiscard]] State state() const { return state_; }

 private:
  enum class Field : std::uint8_t { fixed, extra_length, extra, name, comment, sum, none };
  static constexpr unsigned has_sum = 2, has_extra = 4, has_name = 8, has_comment = 16, reserved = 0xe0;
  static constexpr std::uint8_t deflate = 8;

  void take(std::uint8_t byte) {
    const std::size_t at = count_++;
    switch (field_) {
      case Field::fixed:
        if (at < magic.size() && byte != magic[at]) state_ = State::other;
        if (at == 2 && byte != deflate) state_ = State::damaged;
        if (at == 3) flags_ = byte;
        if (at == 3 && (byte & reserved) != 0) state_ = State::damaged;
        if (count_ == 10) go_on();
        break;
      case Field::extra_length:
      case Field::sum:
        value_ |= static_cast<std::uint32_t>(byte) << 8 * at;
        if (count_ == 2) go_on();
        break;
      case Field::extra:
        if (count_ == extra_length_) go_on();
        break;
      case Field::name:
      case Field::comment:
        if (byte == 0) go_on();
        break;
      case Field::none: break;
    }
  }
  // To the next field that there is.
  void go_on() {
    if (field_ == Field::extra_length) extra_length_ = value_;
    do field_ = static_cast<Field>(static_cast<int>(field_) + 1);
    while (!is_there(field_));
    count_ = 0;
    if (field_ != Field::none) value_ = 0;
    if (field_ == Field::none) state_ = State::over;
  }
  [[nodiscard]] bool is_there(Field field) const {
    switch (field) {
      case Field::extra_length: return (flags_ & has_extra) != 0;
      case Field::extra: return extra_length_ > 0;
      case Field::name: return (flags_ & has_name) != 0;
      case Field::comment: return (flags_ & has_comment) != 0;
      case Field::sum: return (flags_ & has_sum) != 0;
      case Field::fixed:
      case Field::none: break;
    }
    return true;
  }

  State state_ = State::inside;
  Field field_ = Field::fixed;
  unsigned flags_ = 0;
  std::size_t count_ = 0;  // bytes of the field so far
  std::uint32_t extra_length_ = 0;
  std::uint32_t value_ = 0;  // of the field, where it is a number
  std::uint32_t sum_ = 0;    // CRC-32 of all before the field `sum`
};

// RFC 1952. What gzip(1) ignores is ignored: anything behind a member that does not begin as one.
class Gzip final : public Unpacker {
 public:
  Gzip() : state_(std::make_unique<inflate_state>()) {
    isal_inflate_init(state_.get());
    state_->crc_flag = ISAL_GZIP_NO_HDR_VER;  // the trailer's sum and length are verified
  }

  Step step(Packed packed, Room room) override {
    if (is_damaged_) return {0, take_rest(room), rest() > 0 ? State::inside : State::damaged};
    if (header_.state() != GzipHeader::State::over) return take_header(packed);
    offer(*state_, packed, room);
    is_damaged_ = isal_inflate(state_.get()) < 0;
    Step step = step_of(*state_, packed, room, State::inside);
    if (is_damaged_) {
      step.made += take_rest(room.subspan(step.made));
      if (rest() == 0) step.state = State::damaged;
    } else if (state_->block_state == ISAL_BLOCK_FINISH) {
      isal_inflate_reset(state_.get());
      header_ = {};
      step.state = State::between;
    }
    return step;
  }

 private:
  Step take_header(Packed packed) {
    const std::size_t used = header_.take(packed);
    switch (header_.state()) {
      case GzipHeader::State::other: return {used, 0, State::other};
      case GzipHeader::State::damaged: return {used, 0, State::damaged};
      case GzipHeader::State::inside:
      case GzipHeader::State::over: break;
    }
    return {used, 0, State::inside};
  }
  // At damage, it keeps to itself what it has unpacked before that into memory of its own.
  [[nodiscard]] std::size_t rest() const {
    return static_cast<std::size_t>(std::max(state_->tmp_out_valid - state_->tmp_out_processed, 0));
  }
  std::size_t take_rest(Room room) {
    const std::size_t count = std::min(rest(), room.size());
    std::copy_n(state_->tmp_out_buffer + state_->tmp_out_processed, count, room.begin());
    state_->tmp_out_processed += static_cast<std::int32_t>(count);
    return count;
  }

  GzipHeader header_;
  std::unique_ptr<inflate_state> state_;
  bool is_damaged_ = false;
};

// RFC 8878.
class Zstd final : public Unpacker {
 public:
  Zstd() : stream_(ZSTD_createDStream()) {
    TCPWHY_CHECK(stream_ != nullptr);  // the limit of its window is most_memory unless one sets another
  }

  Step step(Packed packed, Room room) override {
    ZSTD_inBuffer source{packed.data(), std::min(packed.size(), wanted_), 0};
    ZSTD_outBuffer target{room.data(), room.size(), 0};
    const std::size_t left = ZSTD_decompressStream(stream_.get(), &target, &source);
    if (ZSTD_isError(left) != 0) {
      damage_ = base::both(ZSTD_getErrorName(left));
      return {0, 0, State::damaged};
    }
    wanted_ = left > 0 ? left : first_wanted;
    return {source.pos, target.pos, left == 0 ? State::between : State::inside};
  }
  base::OwnedText damage() const override { return damage_; }

 private:
  struct Free {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  // As much as the library asks for: a block. What one call has unpacked before it comes to damage is not to be had.
  static constexpr std::size_t first_wanted = 5;
  std::size_t wanted_ = first_wanted;
  base::OwnedText damage_;
};

// The .xz file format (tukaani.org/xz/xz-file-format.txt). The library joins streams, with the padding between them, by itself.
class Xz final : public Unpacker {
 public:
  Xz() { TCPWHY_CHECK(lzma_stream_decoder(&stream_, most_memory, LZMA_CONCATENATED) == LZMA_OK); }
  ~Xz() override { lzma_end(&stream_); }

  Step step(Packed packed, Room room) override {
    offer(stream_, packed, room);
    const lzma_ret result = lzma_code(&stream_, packed.empty() ? LZMA_FINISH : LZMA_RUN);
    return step_of(stream_, packed, room, state_after(result));
  }
  base::OwnedText damage() const override { return damage_; }

 private:
  State state_after(lzma_ret result) {
    constexpr std::uint64_t megabyte = 1U << 20U;
    switch (result) {
      case LZMA_OK:
      case LZMA_BUF_ERROR: return State::inside;  // the latter: nothing left to do
      case LZMA_STREAM_END: return State::between;
      case LZMA_MEMLIMIT_ERROR:
        damage_ = base::format({"unpacking takes {} MB of memory, {} are allowed", "解压需要 {} MB 内存，只允许 {} MB"},
                               lzma_memusage(&stream_) / megabyte, most_memory / megabyte);
        break;
      case LZMA_FORMAT_ERROR: damage_ = {"something else follows them", "其后有别的内容"}; break;
      case LZMA_OPTIONS_ERROR:
        damage_ = {"they use what this version of liblzma does not know", "使用了此版本 liblzma 不认识的特性"};
        break;
      case LZMA_MEM_ERROR: damage_ = {"out of memory", "内存不足"}; break;
      default: break;
    }
    return State::damaged;
  }

  lzma_stream stream_ = LZMA_STREAM_INIT;
  base::OwnedText damage_;
};

// What bzip2(1) ignores is ignored: anything behind a stream that does not begin as one.
class Bzip2 final : public Unpacker {
 public:
  Bzip2() { begin(); }
  ~Bzip2() override { BZ2_bzDecompressEnd(&stream_); }

  Step step(Packed packed, Room room) override {
    offer(stream_, packed, room);
    const int result = BZ2_bzDecompress(&stream_);
    const Step step = step_of(stream_, packed, room, state_after(result));
    if (result == BZ_STREAM_END) {
      BZ2_bzDecompressEnd(&stream_);
      begin();
    }
    return step;
  }

 private:
  void begin() {
    stream_ = {};
    TCPWHY_CHECK(BZ2_bzDecompressInit(&stream_, 0, 0) == BZ_OK);
  }
  static State state_after(int result) {
    switch (result) {
      case BZ_OK: return State::inside;
      case BZ_STREAM_END: return State::between;
      case BZ_DATA_ERROR_MAGIC: return State::other;
      default: return State::damaged;
    }
  }
  bz_stream stream_{};
};

// The LZ4 frame format (doc/lz4_Frame_format.md of lz4). Its blocks have four megabytes at most.
class Lz4 final : public Unpacker {
 public:
  Lz4() { TCPWHY_CHECK(LZ4F_isError(LZ4F_createDecompressionContext(&context_, LZ4F_VERSION)) == 0); }
  ~Lz4() override { LZ4F_freeDecompressionContext(context_); }

  Step step(Packed packed, Room room) override {
    std::size_t used = std::min(packed.size(), wanted_), made = room.size();
    const std::size_t left = LZ4F_decompress(context_, room.data(), &made, packed.data(), &used, nullptr);
    if (LZ4F_isError(left) != 0) {
      damage_ = base::both(LZ4F_getErrorName(left));
      return {0, 0, State::damaged};
    }
    wanted_ = left > 0 ? left : first_wanted;
    return {used, made, left == 0 ? State::between : State::inside};
  }
  base::OwnedText damage() const override { return damage_; }

 private:
  LZ4F_dctx* context_ = nullptr;
  static constexpr std::size_t first_wanted = 7;  // as with zstd
  std::size_t wanted_ = first_wanted;
  base::OwnedText damage_;
};

template <std::size_t N>
bool starts_with(Packed start, const std::array<std::uint8_t, N>& magic) {
  return start.size() >= N && std::equal(magic.begin(), magic.end(), start.begin());
}
bool is_gzip(Packed start) { return starts_with(start, GzipHeader::magic); }
// RFC 8878 3.1.1 (Zstandard frame) and 3.1.2 (skippable frame, 0x184D2A50 to 0x184D2A5F; LZ4 has the same, and its tools never begin by one).
bool is_zstd(Packed start) {
  if (starts_with(start, std::array<std::uint8_t, 4>{0x28, 0xb5, 0x2f, 0xfd})) return true;
  return start.size() >= 4 && (start[0] & 0xf0U) == 0x50 && start[1] == 0x2a && start[2] == 0x4d && start[3] == 0x18;
}
bool is_xz(Packed start) { return starts_with(start, std::array<std::uint8_t, 6>{0xfd, '7', 'z', 'X', 'Z', 0}); }
// The digit is the size of its blocks, in 100 kB.
bool is_bzip2(Packed start) {
  return start.size() >= 4 && start[0] == 'B' && start[1] == 'Z' && start[2] == 'h' && start[3] >= '1' &&
         start[3] <= '9';
}
bool is_lz4(Packed start) { return starts_with(start, std::array<std::uint8_t, 4>{0x04, 0x22, 0x4d, 0x18}); }

template <class Kind>
std::unique_ptr<Unpacker> make() {
  return std::make_unique<Kind>();
}

constexpr PackedFormat formats[] = {
    {"gzip", is_gzip, make<Gzip>},    {"zstd", is_zstd, make<Zstd>}, {"xz", is_xz, make<Xz>},
    {"bzip2", is_bzip2, make<Bzip2>}, {"LZ4", is_lz4, make<Lz4>},
};

}  // namespace

const PackedFormat* packed_format_of(std::span<const std::uint8_t> start) {
  const auto* const found =
      std::ranges::find_if(formats, [&](const PackedFormat& format) { return format.begins(start); });
  return found != std::end(formats) ? found : nullptr;
}

}  // namespace tcpwhy::capfile
