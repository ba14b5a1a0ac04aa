// Compressed data of each kind, whole and otherwise, unpacked by who reads and by a thread of its own.
#include "capfile/input/unpacked_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "capfile/input/packed_testing.h"

namespace tcpwhy::capfile {
namespace {

using ::testing::HasSubstr;
using testing::Packer;
using testing::packers;
using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t megabyte = std::size_t{1} << 20U;

// What packs well, and what does not, in turns.
Bytes content(std::size_t size) {
  std::mt19937 random(5);
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::uint8_t>(i / 1000 % 2 == 0 ? random() : i % 61 + random() % 3);
  return bytes;
}

Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

struct Unpacked {
  Bytes bytes;
  std::optional<std::string> failure;
};
Unpacked rest_of(ByteSource& source, std::size_t room_bytes = 64U << 10U) {
  Unpacked unpacked;
  Bytes room(room_bytes);
  while (const std::size_t count = source.read(room))
    unpacked.bytes.insert(unpacked.bytes.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(count));
  if (const auto failure = source.failure()) unpacked.failure = failure->en;
  return unpacked;
}
Unpacked unpack(std::span<const std::uint8_t> packed, std::size_t room_bytes = 64U << 10U) {
  const auto source = decompressed(memory_source(packed));
  return rest_of(*source, room_bytes);
}

// Gives what there is in small pieces; with may_wait() like a pipe, whose writer has written all of it already.
class InPieces final : public ByteSource {
 public:
  InPieces(std::span<const std::uint8_t> bytes, std::size_t piece, bool may_wait)
      : source_(memory_source(bytes)), piece_(piece), may_wait_(may_wait) {}
  std::size_t read(std::span<std::uint8_t> room) override {
    return source_->read(room.first(std::min(piece_, room.size())));
  }
  std::uint64_t position() const override { return source_->position(); }
  std::optional<std::uint64_t> size() const override { return source_->size(); }
  bool may_wait() const override { return may_wait_; }

 private:
  std::unique_ptr<ByteSource> source_;
  std::size_t piece_;
  bool may_wait_;
};

// `first`, then `again` for ever.
class Endless final : public ByteSource {
 public:
  Endless(Bytes first, Bytes again) : now_(std::move(first)), again_(std::move(again)) {}
  std::size_t read(std::span<std::uint8_t> room) override {
    if (used_ == now_.size()) now_ = again_, used_ = 0;
    const std::size_t count = std::min(room.size(), now_.size() - used_);
    std::copy_n(now_.begin() + static_cast<std::ptrdiff_t>(used_), count, room.begin());
    used_ += count;
    position_ += count;
    return count;
  }
  std::uint64_t position() const override { return position_; }
  std::optional<std::uint64_t> size() const override { return std::nullopt; }
  bool may_wait() const override { return false; }

 private:
  Bytes now_, again_;
  std::size_t used_ = 0;
  std::uint64_t position_ = 0;
};

// The numbers of this process's other threads.
std::vector<std::string> other_threads() {
  std::vector<std::string> threads;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task"))
    if (entry.path().filename() != std::to_string(gettid())) threads.push_back(entry.path().filename());
  return threads;
}
// One that has been joined is listed for a moment still.
bool other_threads_become(std::size_t count) {
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (other_threads().size() != count && std::chrono::steady_clock::now() < patience) std::this_thread::yield();
  return other_threads().size() == count;
}
std::string status_line(const std::string& path, std::string_view name) {
  std::ifstream status(path);
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name)) return line.substr(name.size());
  return {};
}

class UnpackedSource : public ::testing::TestWithParam<Packer> {};
INSTANTIATE_TEST_SUITE_P(Kinds, UnpackedSource, ::testing::ValuesIn(packers),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST_P(UnpackedSource, gives_what_was_packed) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{100'000}, 3 * megabyte}) {
    const Bytes plain = content(size), packed = GetParam().pack(plain);
    EXPECT_TRUE(is_compressed(packed));
    const auto source = decompressed(memory_source(packed));
    EXPECT_EQ(source->compression(), GetParam().name);
    EXPECT_EQ(source->size(), packed.size());
    const Unpacked unpacked = rest_of(*source);
    EXPECT_TRUE(unpacked.bytes == plain) << size;
    EXPECT_EQ(unpacked.failure, std::nullopt);
    EXPECT_EQ(source->position(), packed.size());
  }
}

TEST_P(UnpackedSource, pieces_of_any_size_in_and_out) {
  const Bytes plain = content(30'000), packed = GetParam().pack(plain);
  for (const std::size_t piece : {1, 7, 1000})
    for (const std::size_t room : {1, 10, 100'000}) {
      const auto source = decompressed(std::make_unique<InPieces>(packed, piece, false));
      const Unpacked unpacked = rest_of(*source, room);
      EXPECT_TRUE(unpacked.bytes == plain) << piece << ' ' << room;
      EXPECT_EQ(unpacked.failure, std::nullopt);
    }
}

TEST_P(UnpackedSource, parts_one_behind_the_other_with_empty_ones_between) {
  const auto pack = GetParam().pack;
  const Bytes one = content(1000), two = content(3 * megabyte);
  const Bytes packed = joined({pack({}), pack(one), pack({}), pack({}), pack(two), pack(one), pack({})});
  for (const std::size_t piece : {1UL, megabyte}) {
    const auto source = decompressed(std::make_unique<InPieces>(packed, piece, false));
    const Unpacked unpacked = rest_of(*source);
    EXPECT_TRUE(unpacked.bytes == joined({one, two, one}));
    EXPECT_EQ(unpacked.failure, std::nullopt);
  }
}

TEST_P(UnpackedSource, hundreds_of_parts_of_any_size_in_pieces_of_any_size) {
  std::mt19937 random(17);
  Bytes plain, packed;
  for (int i = 0; i < 300; ++i) {
    const Bytes part = content(random() % 5 == 0 ? random() % 30'000 : random() % 200);
    plain = joined({plain, part});
    packed = joined({packed, GetParam().pack(part)});
  }
  for (int round = 0; round < 30; ++round) {
    const auto source = decompressed(std::make_unique<InPieces>(packed, 1 + random() % 5000, false));
    const Unpacked unpacked = rest_of(*source, 1 + random() % 100'000);
    ASSERT_TRUE(unpacked.bytes == plain) << round;
    ASSERT_EQ(unpacked.failure, std::nullopt) << round;
  }
}

TEST_P(UnpackedSource, cut_anywhere_gives_what_came_before_and_says_so) {
  const Bytes plain = content(3000), packed = GetParam().pack(plain);
  std::size_t most = 0;
  for (std::size_t length = longest_magic; length < packed.size(); ++length) {
    const Unpacked unpacked = unpack(std::span(packed).first(length));
    ASSERT_EQ(unpacked.failure, "the " + std::string(GetParam().name) + " data end early") << length;
    ASSERT_LE(unpacked.bytes.size(), plain.size());
    ASSERT_TRUE(std::equal(unpacked.bytes.begin(), unpacked.bytes.end(), plain.begin())) << length;
    most = std::max(most, unpacked.bytes.size());
  }
  EXPECT_EQ(most, plain.size());
}

TEST_P(UnpackedSource, cut_where_a_thread_unpacks) {
  const Bytes plain = content(4 * megabyte), packed = GetParam().pack(plain);
  for (const std::size_t tenths : {5, 7, 9}) {
    const Unpacked unpacked = unpack(std::span(packed).first(packed.size() * tenths / 10));
    EXPECT_EQ(unpacked.failure, "the " + std::string(GetParam().name) + " data end early");
    EXPECT_GT(unpacked.bytes.size(), plain.size() * (tenths - 3) / 10);
    ASSERT_LT(unpacked.bytes.size(), plain.size());
    EXPECT_TRUE(std::equal(unpacked.bytes.begin(), unpacked.bytes.end(), plain.begin()));
  }
}

TEST_P(UnpackedSource, cut_in_the_second_part) {
  const Bytes plain = content(2000), packed = GetParam().pack(plain);
  const Bytes cut = joined({packed, Bytes(packed.begin(), packed.begin() + 20)});
  const Unpacked unpacked = unpack(cut);
  EXPECT_GE(unpacked.bytes.size(), plain.size());
  EXPECT_EQ(unpacked.failure, "the " + std::string(GetParam().name) + " data end early");
}

// Every kind has a check sum here: what is not called damaged is what was packed.
TEST_P(UnpackedSource, damage_is_found) {
  const Bytes plain = content(5000), packed = GetParam().pack(plain);
  std::mt19937 random(11);
  int found = 0;
  for (int round = 0; round < 2000; ++round) {
    Bytes damaged = packed;
    damaged[longest_magic + random() % (packed.size() - longest_magic)] ^=
        static_cast<std::uint8_t>(1 + random() % 255);
    const Unpacked unpacked = unpack(damaged);
    if (unpacked.failure)
      ++found;
    else
      ASSERT_TRUE(unpacked.bytes == plain) << round;
  }
  EXPECT_GT(found, 1900);
}

TEST_P(UnpackedSource, damage_where_a_thread_unpacks) {
  const Bytes plain = content(4 * megabyte);
  Bytes packed = GetParam().pack(plain);
  for (std::size_t i = packed.size() * 3 / 4; i < packed.size() * 3 / 4 + 100; ++i) packed[i] ^= 0x5a;
  const Unpacked unpacked = unpack(packed);
  ASSERT_TRUE(unpacked.failure);
  EXPECT_THAT(*unpacked.failure, HasSubstr("the " + std::string(GetParam().name) + " data are corrupt"));
  EXPECT_GT(unpacked.bytes.size(), plain.size() / 3);
  EXPECT_TRUE(
      std::equal(plain.begin(), plain.begin() + static_cast<std::ptrdiff_t>(plain.size() / 3), unpacked.bytes.begin()));
}

TEST_P(UnpackedSource, what_follows_the_last_part_is_ignored_or_damage_as_its_own_program_has_it) {
  const Bytes plain = content(2000), packed = GetParam().pack(plain);
  for (const Bytes& more : {Bytes(512, 0), Bytes{'g', 'a', 'r', 'b', 'a', 'g', 'e', 's'}, Bytes(300'000, 'x')}) {
    if (GetParam().name == "xz" && more[0] == 0) continue;  // padding
    const Unpacked unpacked = unpack(joined({packed, more}));
    EXPECT_TRUE(unpacked.bytes == plain);
    EXPECT_EQ(unpacked.failure.has_value(), !GetParam().ignores_what_follows);
  }
}

// A ratio of a thousand and more: nothing of it is kept.
TEST_P(UnpackedSource, a_bomb_takes_no_memory) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "freed memory stays with the sanitizer";
#endif
  constexpr std::size_t size = 100 * megabyte, allowed_kb = 24 << 10;  // xz -6 has a dictionary of 8 MB
  const Bytes packed = GetParam().pack(Bytes(size, 0));
  EXPECT_LT(packed.size(), size / 200);
  {
    std::ofstream("/proc/self/clear_refs") << 5;
  }  // VmHWM is what there is now
  const auto peak_kb = [] { return std::stoul(status_line("/proc/self/status", "VmHWM:")); };
  const std::size_t before = peak_kb();
  ASSERT_LT(before, size >> 10U) << "clear_refs does nothing here";
  const auto source = decompressed(memory_source(packed));
  Bytes room(64U << 10U);
  std::size_t sum = 0;
  while (const std::size_t count = source->read(room)) sum += count;
  EXPECT_EQ(sum, size);
  EXPECT_LT(peak_kb() - before, allowed_kb);
}

TEST_P(UnpackedSource, a_thread_of_its_own_ends_with_the_data_and_takes_no_signals) {
  const Bytes plain = content(4 * megabyte), packed = GetParam().pack(plain);
  const auto before = other_threads();
  const auto source = decompressed(memory_source(packed));
  Bytes room(megabyte);
  for (std::size_t sum = 0; sum < 2 * megabyte;) sum += source->read(room);
  const auto meanwhile = other_threads();
  ASSERT_EQ(meanwhile.size(), before.size() + 1);
  const auto blocked =
      std::stoull(status_line("/proc/self/task/" + meanwhile.back() + "/status", "SigBlk:"), nullptr, 16);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE})
    EXPECT_TRUE((blocked >> (signal - 1) & 1U) != 0) << signal;
  EXPECT_LE(source->position(), packed.size());
  while (source->read(room) > 0) {
  }
  EXPECT_TRUE(other_threads_become(before.size()));
}

TEST_P(UnpackedSource, none_for_what_is_small_or_may_wait) {
  const auto before = other_threads().size();
  Bytes room(64U << 10U);
  const Bytes small = GetParam().pack(content(megabyte / 2)), large = GetParam().pack(content(2 * megabyte));
  const auto source = decompressed(memory_source(small));
  while (source->read(room) > 0) ASSERT_EQ(other_threads().size(), before);
  const auto pipe = decompressed(std::make_unique<InPieces>(large, 100'000, true));
  while (pipe->read(room) > 0) ASSERT_EQ(other_threads().size(), before);
}

TEST_P(UnpackedSource, who_stops_early_waits_for_nobody) {
  const auto before = other_threads().size();
  const auto empty = GetParam().pack({});
  auto source = decompressed(std::make_unique<Endless>(GetParam().pack(content(4 * megabyte)), empty));
  Bytes room(megabyte);
  for (std::size_t sum = 0; sum < 4 * megabyte;) sum += source->read(room);  // the thread now reads what holds nothing
  EXPECT_EQ(other_threads().size(), before + 1);
  source.reset();
  EXPECT_TRUE(other_threads_become(before));
  source = decompressed(std::make_unique<Endless>(GetParam().pack(content(4 * megabyte)), empty));
  for (std::size_t sum = 0; sum < 2 * megabyte;) sum += source->read(room);  // and now waits for room
  source.reset();
  EXPECT_TRUE(other_threads_become(before));
}

TEST_P(UnpackedSource, many_at_a_time_have_no_more_threads_than_there_are_processors) {
  const auto before = other_threads().size();
  const Bytes plain = content(2 * megabyte), packed = GetParam().pack(plain);
  std::vector<std::unique_ptr<ByteSource>> sources;
  for (int i = 0; i < 12; ++i) sources.push_back(decompressed(memory_source(packed)));
  std::vector<Bytes> all(sources.size());
  Bytes room(100'000);
  for (bool more = true; more;) {
    more = false;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const std::size_t count = sources[i]->read(room);
      all[i].insert(all[i].end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(count));
      more = more || count > 0;
    }
    ASSERT_LE(other_threads().size() - before, std::thread::hardware_concurrency());
  }
  for (const Bytes& one : all) EXPECT_TRUE(one == plain);
}

// What is particular to one kind.

TEST(Gzip, every_field_of_a_header) {
  z_stream stream{};
  ASSERT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  Bytes extra = content(1000);
  std::string name = "capture.pcap", comment = "of Tuesday";
  gz_header header{};
  header.extra = extra.data(), header.extra_len = static_cast<uInt>(extra.size());
  header.name = reinterpret_cast<Bytef*>(name.data()), header.comment = reinterpret_cast<Bytef*>(comment.data());
  header.hcrc = 1;
  deflateSetHeader(&stream, &header);
  Bytes plain = content(10'000), packed(20'000);
  stream.next_in = plain.data(), stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = packed.data(), stream.avail_out = static_cast<uInt>(packed.size());
  ASSERT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  const Bytes twice = joined({packed, packed});
  for (const std::size_t piece : {1, 3, 100, 100'000}) {
    const auto source = decompressed(std::make_unique<InPieces>(twice, piece, false));
    const Unpacked unpacked = rest_of(*source);
    EXPECT_TRUE(unpacked.bytes == joined({plain, plain}));
    EXPECT_EQ(unpacked.failure, std::nullopt);
  }
}

TEST(Gzip, another_method_or_length_or_sum_is_damage) {
  const Bytes plain = content(1000), packed = gzip_compressed(plain);
  Bytes with_sum = packed;
  with_sum[3] = 2;
  auto sum = static_cast<std::uint32_t>(crc32(0, with_sum.data(), 10)) & 0xffffU;
  with_sum.insert(with_sum.begin() + 10, {static_cast<std::uint8_t>(sum), static_cast<std::uint8_t>(sum >> 8U)});
  EXPECT_TRUE(unpack(with_sum).bytes == plain);
  with_sum[5] ^= 1;
  EXPECT_EQ(unpack(with_sum).failure, "the gzip data are corrupt");
  Bytes reserved = packed;
  reserved[3] = 0x20;
  EXPECT_EQ(unpack(reserved).failure, "the gzip data are corrupt");
  Bytes other = packed;
  other[2] = 7;
  EXPECT_EQ(unpack(other).failure, "the gzip data are corrupt");
  EXPECT_EQ(unpack(joined({packed, other})).failure, "the gzip data are corrupt");
  Bytes length = packed;
  ++length[length.size() - 4];
  const Unpacked unpacked = unpack(length);
  EXPECT_TRUE(unpacked.bytes == plain);
  EXPECT_EQ(unpacked.failure, "the gzip data are corrupt");
}

// What zlib makes of the same bytes, up to the damage.
Bytes by_zlib(std::span<const std::uint8_t> packed) {
  z_stream stream{};
  inflateInit2(&stream, MAX_WBITS + 16);
  stream.next_in = const_cast<Bytef*>(packed.data()), stream.avail_in = static_cast<uInt>(packed.size());
  Bytes all, room(64U << 10U);
  for (int status = Z_OK; status == Z_OK;) {
    stream.next_out = room.data(), stream.avail_out = static_cast<uInt>(room.size());
    status = inflate(&stream, Z_NO_FLUSH);
    all.insert(all.end(), room.begin(), room.end() - stream.avail_out);
  }
  inflateEnd(&stream);
  return all;
}

TEST(Gzip, no_byte_before_the_damage_is_lost) {
  const Bytes plain = content(200'000), packed = gzip_compressed(plain);
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    Bytes damaged = packed;
    damaged[20 + random() % (packed.size() - 20)] ^= static_cast<std::uint8_t>(1 + random() % 255);
    const Bytes expected = by_zlib(damaged);
    for (const std::size_t room : {100UL, megabyte}) {
      const Bytes got = unpack(damaged, room).bytes;
      ASSERT_GE(got.size(), expected.size()) << round;
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), got.begin())) << round;
    }
  }
}

// The dictionary that a stream asks for stands in its block header (xz-file-format.txt 3.1, 5.3.1).
TEST(Xz, asks_for_more_memory_than_is_allowed) {
  Bytes packed = testing::xz_compressed(content(1000));
  constexpr std::size_t header = 12;  // behind the stream's
  const std::size_t size = (packed[header] + 1U) * 4;
  const std::uint8_t lzma2[] = {0x21, 1};  // and one byte of properties
  const auto end = packed.begin() + static_cast<std::ptrdiff_t>(header + size);
  const auto filter = std::search(packed.begin() + header + 2, end, std::begin(lzma2), std::end(lzma2));
  ASSERT_NE(filter, end);
  filter[2] = 32;  // 256 MiB
  const std::uint32_t sum = lzma_crc32(packed.data() + header, size - 4, 0);
  for (std::size_t i = 0; i < 4; ++i) packed[header + size - 4 + i] = static_cast<std::uint8_t>(sum >> 8 * i);
  EXPECT_EQ(unpack(packed).failure, "the xz data are corrupt: unpacking takes 256 MB of memory, 128 are allowed");
}

TEST(Xz, padding_between_streams_and_behind_them) {
  const Bytes plain = content(1000), packed = testing::xz_compressed(plain);
  const Unpacked unpacked = unpack(joined({packed, Bytes(8, 0), packed, Bytes(4, 0)}));
  EXPECT_TRUE(unpacked.bytes == joined({plain, plain}));
  EXPECT_EQ(unpacked.failure, std::nullopt);
}

TEST(Zstd, asks_for_more_memory_than_is_allowed) {
  const Bytes frame = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00};  // a window of 2 GiB, an empty block
  EXPECT_THAT(unpack(frame).failure.value_or(""), HasSubstr("too much memory"));
}

TEST(Plain, stays_what_it_is) {
  for (const std::string_view text : {"", "B", "BZh", "BZh0", "BZhx", "\x1f",
                                      "\xfd"
                                      "7zXZ",
                                      "hello, world"}) {
    const auto source = decompressed(memory_source({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}));
    EXPECT_EQ(source->compression(), "");
    const Unpacked unpacked = rest_of(*source);
    EXPECT_EQ(std::string(unpacked.bytes.begin(), unpacked.bytes.end()), text);
    EXPECT_EQ(unpacked.failure, std::nullopt);
  }
}

}  // namespace
}  // namespace tcpwhy::capfile
