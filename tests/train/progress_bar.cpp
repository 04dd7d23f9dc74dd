// The progress bar, on a terminal (a pseudo-terminal of a known width) and elsewhere.
#include "support/catch.hpp"
#include "support/files.hpp"

#include <plexus/train/history.hpp>
#include <plexus/train/progress_bar.hpp>

#include <chrono>
#include <limits>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace {

using namespace support;
namespace px = plexus;

px::training_progress halfway() {
  px::training_progress now;
  now.epoch = 2;
  now.epochs = 5;
  now.samples_done = 30000;
  now.samples_total = 60000;
  now.samples_per_second = 151234.4;
  now.loss = 0.43215;
  now.accuracy = 0.8512;
  now.seconds_left = 3675.2;
  return now;
}

px::training_progress epoch_end() {
  px::training_progress now = halfway();
  now.samples_done = 60000;
  now.epoch_finished = true;
  return now;
}

// What the bar writes where there is no terminal.
template <class... Moments>
std::string plain_lines(const Moments&... moments) {
  const temporary_folder folder;
  std::FILE* file = std::fopen((folder / "output").c_str(), "w");
  REQUIRE(file != nullptr);
  px::progress_bar bar{file};
  (bar(moments), ...);
  std::fclose(file);
  return read_file(folder / "output");
}

// A terminal of `columns`; shown() is what has been written to it since the last call.
class terminal {
 public:
  explicit terminal(unsigned short columns) : main_(::posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK)) {
    REQUIRE(main_ >= 0);
    REQUIRE(::grantpt(main_) == 0);
    REQUIRE(::unlockpt(main_) == 0);
    output_ = std::fopen(::ptsname(main_), "w");
    REQUIRE(output_ != nullptr);
    winsize size{};
    size.ws_col = columns;
    REQUIRE(::ioctl(main_, TIOCSWINSZ, &size) == 0);
  }
  terminal(const terminal&) = delete;
  terminal& operator=(const terminal&) = delete;
  ~terminal() {
    std::fclose(output_);
    ::close(main_);
  }

  std::FILE* output() const { return output_; }
  std::string shown() const {
    std::string text;
    char part[256];
    for (ssize_t n = ::read(main_, part, sizeof part); n > 0; n = ::read(main_, part, sizeof part)) {
      text.append(part, static_cast<std::size_t>(n));
    }
    return text;
  }

 private:
  int main_;
  std::FILE* output_ = nullptr;
};

const std::string erase = "\r\x1b[K";

TEST_CASE("away from a terminal, the progress bar is a line per epoch") {
  px::training_progress last = epoch_end();
  last.epoch = 5;
  last.validation_loss = 0.5;
  last.validation_accuracy = 0.84;
  CHECK(plain_lines(halfway(), epoch_end(), halfway(), last) ==
        "epoch 2/5: 151,234 samples/s, loss 0.4321, accuracy 85.12%, 1:01:16 left\n"
        "epoch 5/5: 151,234 samples/s, loss 0.4321, accuracy 85.12%, validation loss 0.5000, "
        "validation accuracy 84.00%\n");
}

TEST_CASE("the progress bar leaves out what there is not, and shows a loss that is none") {
  px::training_progress now = epoch_end();
  now.loss = now.accuracy = -std::numeric_limits<double>::quiet_NaN();  // as 0.0 / 0.0 gives on x86
  now.validation_loss = now.validation_accuracy = now.loss;
  now.seconds_left = 59.2;
  now.samples_per_second = 999;
  now.non_finite_steps = 3;
  CHECK(plain_lines(now) ==
        "epoch 2/5: 999 samples/s, loss nan, validation loss nan, 3 steps not finite, 1:00 left\n");
  now.non_finite_steps = 0;
  now.loss = std::numeric_limits<double>::infinity();
  now.validation_loss.reset();
  now.seconds_left = now.samples_per_second = now.loss;
  CHECK(plain_lines(now) == "epoch 2/5: inf samples/s, loss inf, ? left\n");
}

TEST_CASE("on a terminal, the progress bar redraws one line") {
  const terminal screen(100);
  px::progress_bar bar{screen.output()};
  bar(halfway());
  CHECK(screen.shown() ==
        erase +
            "epoch 2/5 [#############............] 151,234 samples/s, loss 0.4321, accuracy "
            "85.12%, 1:01:16 left");
  bar(halfway());
  CHECK(screen.shown().empty());  // ten times a second at most
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  bar(halfway());
  CHECK(!screen.shown().empty());
  bar(epoch_end());  // at once, and with the terminal's own line end
  CHECK(screen.shown() ==
        erase + "epoch 2/5: 151,234 samples/s, loss 0.4321, accuracy 85.12%, 1:01:16 left\r\n");
}

TEST_CASE("on a narrow terminal, the bar goes first and the line is cut last") {
  for (const unsigned short columns : std::vector<unsigned short>{1, 10, 40, 75, 80, 85, 90, 200}) {
    INFO(columns << " columns");
    const terminal screen(columns);
    px::progress_bar bar{screen.output()};
    bar(halfway());
    const std::string line = screen.shown().substr(erase.size());
    CHECK(line.size() < columns);  // a line that fills the last column would wrap
    CHECK((line.find('[') != std::string::npos) == (columns >= 85));
    CHECK((line.find("left") != std::string::npos) == (columns >= 75));
    CHECK(line.size() < 110);
  }
}

TEST_CASE("the reasons why training stops have names") {
  CHECK(px::to_string(px::stop_reason::epochs_done) == std::string("all epochs done"));
  CHECK(px::to_string(px::stop_reason::error_small_enough) == std::string("error small enough"));
  CHECK(px::to_string(px::stop_reason::step_limit) == std::string("step limit reached"));
}

}  // namespace
