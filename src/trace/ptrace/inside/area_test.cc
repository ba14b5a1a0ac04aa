// The memory that traced programs can write to: whatever they leave there, the tracer goes on, and says what it has
// lost.
#include "trace/ptrace/inside/area.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <vector>

namespace tcpwhy::trace {
namespace {

class InsideAreaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    area_ = InsideArea::open();
    if (!area_) GTEST_SKIP() << "kcmp(2) is not to be had here";
    void* const memory = ::mmap(nullptr, sizeof(inside_shared), PROT_READ | PROT_WRITE, MAP_SHARED, area_->fd(), 0);
    ASSERT_NE(memory, MAP_FAILED);
    theirs_ = static_cast<inside_shared*>(memory);
  }
  void TearDown() override {
    if (theirs_ != nullptr) ::munmap(theirs_, sizeof(inside_shared));
  }

  // As a recorder leaves one.
  void leave_record(std::uint64_t id, std::uint32_t snippet_bytes = 0) {
    inside_record record{};
    record.id = id, record.snippet_bytes = snippet_bytes;
    leave_record(record);
  }
  void leave_record(const inside_record& record) {
    std::memcpy(theirs_->ring + theirs_->head % INSIDE_RING_BYTES + 8, &record, sizeof record);
    leave_word(8 + sizeof record, INSIDE_DONE);
    theirs_->head += 8 + sizeof record;
  }
  void leave_word(std::uint64_t length, std::uint64_t state) {
    const std::uint64_t word = length | state << 32U;
    std::memcpy(theirs_->ring + theirs_->head % INSIDE_RING_BYTES, &word, sizeof word);
  }
  std::vector<std::uint64_t> take(bool nobody_lives = false) {
    std::vector<std::uint64_t> ids;
    area_->take([&](const inside_record& record, std::span<const std::byte>) { ids.push_back(record.id); },
                nobody_lives);
    return ids;
  }

  std::unique_ptr<InsideArea> area_;
  inside_shared* theirs_ = nullptr;
};

using Ids = std::vector<std::uint64_t>;

TEST_F(InsideAreaTest, records_come_once_and_in_order) {
  leave_record(1), leave_record(2);
  EXPECT_FALSE(area_->is_empty());
  EXPECT_EQ(take(), Ids({1, 2}));
  EXPECT_TRUE(area_->is_empty());
  EXPECT_EQ(take(), Ids());
  EXPECT_EQ(area_->take_lost(), 0U);
}

TEST_F(InsideAreaTest, who_died_in_the_middle_holds_up_the_others_only_while_somebody_lives) {
  leave_record(1);
  leave_word(64, INSIDE_BUSY), theirs_->head += 64;
  theirs_->head += 128;  // died before it could say how long it is
  leave_record(2);
  EXPECT_EQ(take(), Ids({1}));
  EXPECT_FALSE(area_->is_empty());
  EXPECT_EQ(take(true), Ids({2}));
  EXPECT_EQ(area_->take_lost(), 2U);
}

TEST_F(InsideAreaTest, snippets_that_reach_beyond_their_record_are_lost) {
  leave_record(1, 4000), leave_record(2);
  EXPECT_EQ(take(), Ids({2}));
  EXPECT_EQ(area_->take_lost(), 1U);
}

TEST_F(InsideAreaTest, what_is_no_record_ends_it_and_every_call_stops_again) {
  const auto table = area_->take_table();
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(theirs_->tables[*table].enabled, 1U);
  leave_record(1);
  leave_word(12345, INSIDE_DONE), theirs_->head += 64;
  EXPECT_EQ(take(), Ids({1}));
  EXPECT_TRUE(area_->is_empty());
  EXPECT_EQ(theirs_->tables[*table].enabled, 0U);
  EXPECT_EQ(take(), Ids());
  EXPECT_EQ(area_->take_lost(), 1U) << "once, not at each look";
}

TEST_F(InsideAreaTest, a_position_out_of_the_ring_ends_it_too) {
  theirs_->head = ~0ULL / 2;
  EXPECT_EQ(take(), Ids());
  EXPECT_TRUE(area_->is_empty());
  EXPECT_EQ(area_->take_lost(), 1U);
  const auto table = area_->take_table();
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(theirs_->tables[*table].enabled, 0U);
}

TEST_F(InsideAreaTest, a_position_that_they_claim_was_taken_counts_for_nothing) {
  leave_record(1), leave_record(2);
  theirs_->tail = 1ULL << 62U;
  EXPECT_EQ(take(), Ids({1, 2}));
  leave_record(3);
  theirs_->tail = 3;
  EXPECT_EQ(take(), Ids({3}));
  EXPECT_EQ(theirs_->tail, theirs_->head);
  EXPECT_EQ(area_->take_lost(), 0U);
}

// Reading behind the end of a file is SIGBUS.
TEST_F(InsideAreaTest, its_size_stays) {
  EXPECT_NE(::ftruncate(area_->fd(), 0), 0);
  EXPECT_NE(::ftruncate(area_->fd(), 2 * sizeof(inside_shared)), 0);
  EXPECT_LT(::fcntl(area_->fd(), F_ADD_SEALS, F_SEAL_WRITE), 0);
  leave_record(1);
  EXPECT_EQ(take(), Ids({1}));
}

TEST_F(InsideAreaTest, what_no_recorder_leaves_is_lost) {
  const auto leave = [this](auto&& change) {
    inside_record record{};
    change(record);
    leave_record(record);
  };
  leave([](auto& record) { record.number = 12345; });
  leave([](auto& record) { record.number = SYS_fork; });
  leave([](auto& record) { record.id = ~0ULL; });
  leave([](auto& record) { record.returned_at = 1ULL << 63U; });
  leave([](auto& record) { record.entry_bytes = 8; });
  leave([](auto& record) { record.number = SYS_poll, record.socket.cookie = 5; });  // no descriptor of its own
  leave_record(7);
  EXPECT_EQ(take(), Ids({7}));
  EXPECT_EQ(area_->take_lost(), 6U);
}

TEST_F(InsideAreaTest, one_look_ends_however_fast_they_write) {
  leave_record(1);
  std::vector<std::uint64_t> ids;
  area_->take([&](const inside_record& record, std::span<const std::byte>) {
    ids.push_back(record.id);
    leave_record(record.id + 1);
  });
  EXPECT_EQ(ids, Ids({1}));
  EXPECT_EQ(take(), Ids({2}));
}

TEST_F(InsideAreaTest, what_the_process_has_learnt_is_not_written_over) {
  const auto table = area_->take_table();
  ASSERT_TRUE(table.has_value());
  area_->learn(*table, 5, INSIDE_OTHER);
  EXPECT_EQ(area_->socket_of(*table, 5), INSIDE_OTHER);
  theirs_->tables[*table].socket[5] = 77;  // accept() gave it
  area_->learn(*table, 5, INSIDE_OTHER);
  EXPECT_EQ(area_->socket_of(*table, 5), 77U);
  area_->learn(*table, -1, 9), area_->forget(*table, INSIDE_DESCRIPTORS);
  EXPECT_EQ(area_->socket_of(*table, INSIDE_DESCRIPTORS), std::uint64_t{INSIDE_UNKNOWN});
}

}  // namespace
}  // namespace tcpwhy::trace
