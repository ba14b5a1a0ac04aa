// A file in pieces: whoever reads them ahead, they come in order, and what is shared stays as it is.
#include "capfile/input/file_pieces.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include "capfile/input/input_buffer.h"

namespace tcpwhy::capfile {
namespace {

class File {
 public:
  explicit File(std::string_view content) {
    std::string name = ::testing::TempDir() + "/file_pieces.XXXXXX";
    fd_.reset(mkstemp(name.data()));
    unlink(name.c_str());
    append(content);
    lseek(fd_.get(), 0, SEEK_SET);
  }
  void append(std::string_view content) {
    ASSERT_EQ(pwrite(fd_.get(), content.data(), content.size(), static_cast<off_t>(size_)),
              static_cast<ssize_t>(content.size()));
    size_ += content.size();
  }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] Input input() const { return {base::UniqueFd(dup(fd_.get())), "test"}; }

 private:
  base::UniqueFd fd_;
  std::size_t size_ = 0;
};

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  std::uint32_t random = 7;
  for (char& c : text) c = static_cast<char>((random = random * 1664525 + 1013904223) >> 24U);
  return text;
}

std::string text_of(const Piece& piece) {
  return {reinterpret_cast<const char*>(piece.memory.get()) + Piece::headroom, piece.size};
}

TEST(FilePieces, come_in_order_whoever_reads_ahead) {
  const std::string whole = pattern(75 * FilePieces::piece_bytes + 1234);
  const File file(whole);
  FilePieces pieces(file.input());
  std::atomic<bool> over = false;
  std::vector<std::jthread> helpers;
  for (int i = 0; i < 3; ++i)
    helpers.emplace_back([&] {
      while (!over) {
        if (const auto piece = pieces.begin()) {
          pieces.load(*piece);
        } else {
          std::this_thread::yield();
        }
      }
    });
  std::string all;
  for (Piece piece = pieces.next(); piece.size > 0; piece = pieces.next()) all += text_of(piece);
  over = true;
  EXPECT_TRUE(all == whole);
  EXPECT_EQ(pieces.position(), whole.size());
  EXPECT_EQ(pieces.next().size, 0U);
  EXPECT_FALSE(pieces.failure());
}

TEST(FilePieces, begin_where_the_descriptor_stands_and_end_where_the_file_did) {
  const std::string whole = pattern(FilePieces::piece_bytes + 10);
  File file(whole);
  lseek(file.fd(), 7, SEEK_SET);
  FilePieces pieces(file.input());
  EXPECT_EQ(text_of(pieces.next()), whole.substr(7, FilePieces::piece_bytes));
  const auto second = pieces.begin(), third = pieces.begin();
  ASSERT_TRUE(second && third);
  pieces.load(*second);
  file.append("what was written later, behind the piece that is short" + whole);
  pieces.load(*third);
  EXPECT_FALSE(pieces.begin());
  EXPECT_EQ(text_of(pieces.next()), whole.substr(7 + FilePieces::piece_bytes));
  EXPECT_EQ(pieces.next().size, 0U);
}

TEST(FilePieces, are_begun_as_far_ahead_as_there_is_room) {
  const std::string whole = pattern(70 * FilePieces::piece_bytes);
  const File file(whole);
  FilePieces pieces(file.input());
  std::vector<std::uint64_t> begun;
  for (auto piece = pieces.begin(); piece; piece = pieces.begin()) {
    ASSERT_EQ(*piece, begun.size());
    begun.push_back(*piece);
  }
  ASSERT_LT(begun.size(), 70U);
  for (const std::uint64_t piece : begun | std::views::reverse) pieces.load(piece);
  EXPECT_EQ(pieces.taken(), 0U);
  EXPECT_TRUE(text_of(pieces.next()) == whole.substr(0, FilePieces::piece_bytes));
  EXPECT_EQ(pieces.taken(), 1U);
  const auto next = pieces.begin();
  ASSERT_EQ(next, begun.size());
  EXPECT_FALSE(pieces.begin());
  pieces.load(*next);
  std::string rest;
  for (Piece piece = pieces.next(); piece.size > 0; piece = pieces.next()) rest += text_of(piece);
  EXPECT_TRUE(rest == whole.substr(FilePieces::piece_bytes));
}

TEST(FilePieces, neither_pipes_nor_compressed_files) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const base::UniqueFd from(ends[0]), to(ends[1]);
  EXPECT_FALSE(FilePieces::can_read(Input(base::UniqueFd(dup(from.get())), "pipe")));
  EXPECT_FALSE(FilePieces::can_read(File("\x1f\x8b and so on").input()));
  EXPECT_TRUE(FilePieces::can_read(File("").input()));
  EXPECT_TRUE(FilePieces::can_read(File("anything").input()));
}

// Reads all in strides that end nowhere near a piece's end, each half as long as it may be and then whole.
void expect_contiguous(InputBuffer input, const std::string& whole, std::size_t stride) {
  std::size_t at = 0;
  std::vector<std::pair<SharedBytes, std::span<const std::uint8_t>>> kept;
  while (true) {
    (void)input.peek(stride / 2);
    const auto bytes = input.peek(stride);
    if (bytes.empty()) break;
    ASSERT_EQ(std::memcmp(bytes.data(), whole.data() + at, bytes.size()), 0) << at;
    kept.emplace_back(input.memory(), bytes);
    input.consume(bytes.size());
    at += bytes.size();
  }
  EXPECT_EQ(at, whole.size());
  at = 0;
  for (const auto& [memory, bytes] : kept) {
    ASSERT_EQ(std::memcmp(bytes.data(), whole.data() + at, bytes.size()), 0) << "shared, and changed: " << at;
    at += bytes.size();
  }
}

TEST(MemoryPool, gives_memory_again_to_who_took_it_when_nobody_shares_it) {
  MemoryPool pool(100);
  SharedBytes first = pool.take();
  const auto* const place = first.get();
  SharedBytes shared = first;
  first.reset();
  const SharedBytes second = pool.take();
  EXPECT_NE(second.get(), place);
  std::jthread([&] { EXPECT_NE(pool.take().get(), place); }).join();
  shared.reset();
  std::jthread([&] { EXPECT_NE(pool.take().get(), place); }).join();
  EXPECT_EQ(pool.take().get(), place);
}

TEST(InputBuffer, bytes_are_contiguous_and_stay_while_they_are_shared) {
  const std::string whole = pattern(4 * FilePieces::piece_bytes + 99);
  const File file(whole);
  for (const std::size_t stride : {std::size_t{1000}, std::size_t{65'536}, std::size_t{70'001},
                                   FilePieces::piece_bytes + 5, 3 * FilePieces::piece_bytes}) {
    expect_contiguous(InputBuffer(std::make_shared<FilePieces>(file.input())), whole, stride);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(whole.data());
    expect_contiguous(InputBuffer(memory_source({bytes, whole.size()})), whole, stride);
  }
}

}  // namespace
}  // namespace tcpwhy::capfile
