// What reading and writing files refuses, and how it says so.
#include "support/bad_input.hpp"

#include <plexus/inspect/training_curve.hpp>
#include <plexus/io/canvas.hpp>
#include <plexus/io/checkpoints.hpp>
#include <plexus/io/history.hpp>
#include <plexus/io/safetensors.hpp>
#include <plexus/plexus.hpp>

namespace {

using namespace support;
namespace fs = std::filesystem;
namespace px = plexus;

using small_network = px::network<px::input<3>, px::dense<2>>;

std::string safetensors(const std::string& header, const std::string& data = "") {
  return little_endian(header.size()) + header + data;
}

folder_action file(const std::string& bytes) {
  return [=](const fs::path& folder) { write_file(folder / "weights", bytes); };
}

// A file with one tensor "w", described by this JSON, and 16 bytes of data.
folder_action tensor(const std::string& description) {
  return file(safetensors("{\"w\":" + description + "}", std::string(16, '\0')));
}

folder_action tensors(const std::string& first, const std::string& second) {
  return file(safetensors("{\"a\":" + first + ",\"b\":" + second + "}", std::string(16, '\0')));
}

std::string floats(int begin, int end) {
  return "{\"dtype\":\"F32\",\"shape\":[" + std::to_string((end - begin) / 4) + "],\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

void read_weights(const fs::path& folder) { px::read_safetensors(folder / "weights"); }

px::stored_tensor eight_floats(const std::string& name) {
  return {name, "F32", {2, 4}, std::vector<std::byte>(32)};
}

void write_weights(const fs::path& path) { px::write_safetensors(path, {eight_floats("w")}); }

// The old file must survive, and no temporary be left.
const folder_action old_file = file("the old file");

const std::string reading = "reading the safetensors file 'FOLDER/weights'";
const std::string writing = "writing the safetensors file 'FOLDER/weights'";
const std::string again = "fetch or save the file again";
const std::string rewrite = "write the file again with a safetensors library";

TEST_CASE("bad input: safetensors files", "[bad_input]") {
  check_bad_inputs(
      "safetensors files",
      {
          {"a missing weights file", read_weights, reading, "there is no such file", "check the path"},
          {"a folder for a weights file", read_weights, reading, "it is a folder",
           "give the path of a file in it",
           [](const fs::path& folder) { fs::create_directory(folder / "weights"); }},
          {"an empty weights file", read_weights, reading,
           "it has 0 bytes, fewer than the 8 that a safetensors file begins with", again, file("")},
          {"a weights file of 7 bytes", read_weights, reading,
           "it has 7 bytes, fewer than the 8 that a safetensors file begins with", again,
           file(little_endian(2).substr(0, 7))},
          {"a header of 2^63 bytes", read_weights, reading,
           "its header claims 9223372036854775808 bytes (bytes 0 to 7), and the format allows 100000000",
           "give a safetensors file", file(little_endian(std::uint64_t{1} << 63) + "{}")},
          {"a header longer than the file", read_weights, reading,
           "its header claims 3 bytes, and only 2 follow byte 8", again, file(little_endian(3) + "{}")},
          {"a header that is no object", read_weights, reading, "its header does not begin with { at byte 8",
           "give a safetensors file", file(safetensors("[1]"))},
          {"an empty header", read_weights, reading, "its header does not begin with { at byte 8",
           "give a safetensors file", file(safetensors(""))},
          {"a header that breaks off", read_weights, reading,
           "its header is damaged: it is not valid JSON near byte 13", rewrite, file(safetensors("{\"a\""))},
          {"text after the header's object", read_weights, reading,
           "its header is damaged: it is not valid JSON near byte 11", rewrite, file(safetensors("{}x"))},
          {"a NaN in a shape", read_weights, reading,
           "its header is damaged: it is not valid JSON near byte 38", rewrite,
           tensor("{\"dtype\":\"F32\",\"shape\":[NaN],\"data_offsets\":[0,16]}")},
          {"a negative size", read_weights, reading,
           "its header is damaged: the shape of tensor \"w\" has a negative number in it", rewrite,
           tensor("{\"dtype\":\"F32\",\"shape\":[-4],\"data_offsets\":[0,16]}")},
          {"a fractional size", read_weights, reading,
           "its header is damaged: the shape of tensor \"w\" has the number 4.0 in it", rewrite,
           tensor("{\"dtype\":\"F32\",\"shape\":[4.0],\"data_offsets\":[0,16]}")},
          {"a size beyond 64 bits", read_weights, reading,
           "its header is damaged: the shape of tensor \"w\" has the number 18446744073709551616 in it",
           rewrite, tensor("{\"dtype\":\"F32\",\"shape\":[18446744073709551616],\"data_offsets\":[0,16]}")},
          {"a nested shape", read_weights, reading,
           "its header is damaged: the shape of tensor \"w\" has an array in it", rewrite,
           tensor("{\"dtype\":\"F32\",\"shape\":[[4]],\"data_offsets\":[0,16]}")},
          {"a million nested arrays", read_weights, reading,
           "its header is damaged: \"w\" is an array and not a tensor's description", rewrite,
           tensor(std::string(1'000'000, '['))},
          {"one name twice", read_weights, reading, "its header is damaged: the name \"w\" occurs twice",
           rewrite,
           file(safetensors("{\"w\":" + floats(0, 8) + ",\"w\":" + floats(8, 16) + "}",
                            std::string(16, '\0')))},
          {"one field twice", read_weights, reading, "its header is damaged: the name \"shape\" occurs twice",
           rewrite, tensor("{\"dtype\":\"F32\",\"shape\":[4],\"shape\":[4],\"data_offsets\":[0,16]}")},
          {"an unknown field", read_weights, reading,
           "its header is damaged: tensor \"w\" has the unknown field \"stride\"", rewrite,
           tensor("{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16],\"stride\":[1]}")},
          {"no dtype", read_weights, reading, "its header is damaged: tensor \"w\" has no dtype", rewrite,
           tensor("{\"shape\":[4],\"data_offsets\":[0,16]}")},
          {"an unknown dtype", read_weights, reading, "tensor \"w\" has the unknown dtype \"F31\"",
           "save it as F32", tensor("{\"dtype\":\"F31\",\"shape\":[4],\"data_offsets\":[0,16]}")},
          {"a shape of another size than the data", read_weights, reading,
           "tensor \"w\" has 16 bytes, which is not the size of F32 (5)", again,
           tensor("{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[0,16]}")},
          {"a shape of a great many extents", read_weights, reading,
           "tensor \"w\" has 16 bytes, which is not the size of F32 (5, 1, 1, 1, 1, 1, 1, 1, …)", again,
           tensor("{\"dtype\":\"F32\",\"shape\":[5,1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,16]}")},
          {"a shape whose product overflows", read_weights, reading,
           "tensor \"w\" has 16 bytes, which is not the size of F32 (4294967296, 4294967296, 4)", again,
           tensor("{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4],\"data_offsets\":[0,16]}")},
          {"one offset", read_weights, reading,
           "its header is damaged: the data_offsets of tensor \"w\" are not two numbers", rewrite,
           tensor("{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0]}")},
          {"three offsets", read_weights, reading,
           "its header is damaged: the data_offsets of tensor \"w\" are more than two numbers", rewrite,
           tensor("{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,8,16]}")},
          {"descending offsets", read_weights, reading,
           "tensor \"w\" ends at byte 0 of the data, before it begins at 16", again,
           tensor("{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}")},
          {"offsets beyond the file", read_weights, reading,
           "its tensors take 4294967296 bytes, and 16 follow the header", again,
           tensor("{\"dtype\":\"U8\",\"shape\":[4294967296],\"data_offsets\":[0,4294967296]}")},
          {"overlapping tensors", read_weights, reading,
           "tensor \"b\" begins at byte 4 of the data, where the one before it ends at 8", again,
           tensors(floats(0, 8), floats(4, 16))},
          {"a gap between tensors", read_weights, reading,
           "tensor \"a\" begins at byte 12 of the data, where the one before it ends at 8", again,
           tensors(floats(12, 16), floats(0, 8))},
          {"bytes after the last tensor", read_weights, reading,
           "its tensors take 8 bytes, and 16 follow the header", again, tensor(floats(0, 8))},
          {"metadata that is no text", read_weights, reading,
           "its header is damaged: the metadata \"epoch\" is a number and not a string", rewrite,
           file(safetensors("{\"__metadata__\":{\"epoch\":3}}"))},
          {"a name that is not UTF-8", read_weights, reading,
           "its header is damaged: it is not valid JSON near byte 11", rewrite,
           file(safetensors("{\"\xff\":" + floats(0, 0) + "}"))},
      });
}

TEST_CASE("bad input: saving and loading a network", "[bad_input]") {
  const auto write = [](const fs::path& folder) { write_weights(folder / "weights"); };
  const auto load = [](const fs::path& folder) {
    small_network net{px::seed{1}};
    px::load(net, folder / "weights");
  };
  const auto saved_as = [](std::vector<px::stored_tensor> all) {
    return [all](const fs::path& folder) { px::write_safetensors(folder / "weights", all); };
  };
  const px::stored_tensor weight{"0.weight", "F32", {2, 3}, std::vector<std::byte>(24)};
  const px::stored_tensor bias{"0.bias", "F32", {2}, std::vector<std::byte>(8)};
  const std::string loading = "loading a network from 'FOLDER/weights'";
  const std::string other =
      "give a file saved by the same function from a network with the same layers; nothing was loaded";
  check_bad_inputs(
      "saving and loading a network",
      {
          {"a missing folder", [](const fs::path& folder) { write_weights(folder / "runs" / "weights"); },
           "writing the safetensors file 'FOLDER/runs/weights'", "the folder 'FOLDER/runs' does not exist",
           "create it first"},
          {"a file where a folder should be",
           [](const fs::path& folder) { write_weights(folder / "weights" / "mlp"); },
           "writing the safetensors file 'FOLDER/weights/mlp'", "'FOLDER/weights' is not a folder",
           "check the path", old_file},
          {"an unwritable folder",
           [=](const fs::path& folder) {
             const as_other_user bound_by_permissions;
             write(folder);
           },
           writing, "the folder 'FOLDER' may not be written to",
           "change its permissions or choose another folder",
           [](const fs::path& folder) {
             old_file(folder);
             fs::permissions(folder, fs::perms(0555));
           }},
          {"a full disk",
           [](const fs::path& folder) {
             px::atomic_file weights(folder / "weights", "writing " + px::quoted(folder / "weights"));
             fill_disk_under_open_files(folder);
             weights.write(bytes_of("the new file"));
           },
           "writing 'FOLDER/weights'", "the disk is full",
           "free some space or choose another disk; nothing was changed", old_file},
          {"a limit on the size of files",
           [=](const fs::path& folder) {
             const file_size_limit small(64);
             write(folder);
           },
           writing, "the file would be larger than this process may write",
           "raise the file size limit (ulimit -f); nothing was changed", old_file},
          {"a folder of the file's name", write, writing, "there is a folder of that name",
           "give the name of a file",
           [](const fs::path& folder) { fs::create_directory(folder / "weights"); }},
          {"a device of the file's name", [](const fs::path&) { write_weights("/dev/full"); },
           "writing the safetensors file '/dev/full'",
           "there is something of that name that is not a regular file", "give another name"},
          {"an empty path", [](const fs::path&) { write_weights(""); }, "writing the safetensors file ''",
           "the path is empty", "give the name of the file"},
          {"a path that ends in a slash", [](const fs::path& folder) { write_weights(folder / "runs/"); },
           "writing the safetensors file 'FOLDER/runs/'", "the path ends in a slash",
           "give the name of a file"},
          {"symbolic links in a circle", write, writing, "its symbolic links lead in a circle",
           "give the name of a file",
           [](const fs::path& folder) { fs::create_symlink("weights", folder / "weights"); }},
          {"two tensors of one name",
           [](const fs::path& folder) {
             px::write_safetensors(folder / "weights", {eight_floats("w"), eight_floats("w")});
           },
           writing, "tensor \"w\" is there twice", "give each tensor its own name", old_file},
          {"a tensor with too few data",
           [](const fs::path& folder) {
             px::stored_tensor broken = eight_floats("w");
             broken.data.pop_back();
             px::write_safetensors(folder / "weights", {broken});
           },
           writing, "tensor \"w\" has 31 bytes, which is not the size of F32 (2, 4)",
           "give data of that size", old_file},
          {"a tensor named as the metadata",
           [](const fs::path& folder) {
             px::write_safetensors(folder / "weights", {eight_floats("__metadata__")});
           },
           writing, "tensor \"__metadata__\" has the name of the metadata", "give it another name", old_file},
          {"a name in another encoding",
           [](const fs::path& folder) {
             px::write_safetensors(folder / "weights", {eight_floats("gr\xf6\xdf")});
           },
           writing, "a name or the metadata is not UTF-8", "use UTF-8", old_file},
          {"the weights of another network", load, loading,
           "missing from the file: \"0.bias\", not in the network: \"1.bias\", of another shape: "
           "\"0.weight\" is F32 (3, 2) in the file and F32 (2, 3) in the network",
           other, saved_as({{"1.bias", "F32", {2}, bias.data}, {"0.weight", "F32", {3, 2}, weight.data}})},
          {"half-precision weights", load, loading,
           "of another shape: \"0.bias\" is F16 (2) in the file and F32 (2) in the network", other,
           saved_as({weight, {"0.bias", "F16", {2}, std::vector<std::byte>(4)}})},
          {"more surplus tensors than fit in a message", load, loading,
           "not in the network: \"1\", \"2\", \"3\", \"4\", \"5\", \"6\", \"7\", \"8\" and 1 more", other,
           [=](const fs::path& folder) {
             std::vector<px::stored_tensor> all{weight, bias};
             for (int i = 1; i <= 9; ++i) all.push_back({std::to_string(i), "F32", {0}, {}});
             px::write_safetensors(folder / "weights", all);
           }},
          {"checkpoints after no epochs",
           [](const auto& folder) {
             small_network net;
             px::checkpoints(net, folder / "checkpoint", 0);
           },
           "configuring checkpoints", "the number of epochs between them is not positive",
           "give 1 for one after each epoch"},
          {"a history in a folder that is not there",
           [](const auto& folder) { px::save_history({}, folder / "nowhere" / "history.csv"); },
           "saving a history to 'FOLDER/nowhere/history.csv'", "the folder 'FOLDER/nowhere' does not exist",
           "create it first"},
          {"plain weights for a checkpoint",
           [](const fs::path& folder) {
             small_network net{px::seed{1}};
             px::load_checkpoint(net, folder / "weights");
           },
           "loading a checkpoint from 'FOLDER/weights'",
           "missing from the file: \"training.epoch\", \"training.step\", \"training.optimizer_updates\", "
           "\"training.seed\"",
           other, saved_as({weight, bias})},
      });
}

// ---- Checkpoints that no training left

using trained_network = px::network<px::mixed<px::fp16>, px::input<3>, px::dense<2>>;

// With all that a checkpoint may hold, in epoch 7 of its life.
struct trained : trained_network {
  explicit trained(px::seed s) : trained_network(s) {
    step(std::vector<float>{1, 2, 3}, std::vector<int>{1}, px::softmax_cross_entropy{},
         px::averaged{px::adam{}, 0.9f});
    restore_training_state({.epoch = 7, .step = 1, .random = s});
    set_plateau({.least_loss = 0.5, .bad_epochs = 2, .cooldown = 1, .rate_factor = 0.25});
    best_epoch() = px::least_loss_epoch{.loss = 0.5, .epoch = 6};
    for (const auto& tensor : tensors())
      best_epoch()->tensors.push_back(px::to_device(stream(), values(tensor)));
  }

 private:
  std::vector<float> values(const px::named_parameter& tensor) {
    return px::to_host(stream(), tensor.values);
  }
};

std::string state_of(trained& net) {
  const temporary_folder folder;
  px::save_checkpoint(net, folder / "checkpoint");
  return read_file(folder / "checkpoint");
}

// Where it is refused, everything in the network must be as before.
void load_checkpoint(const fs::path& folder) {
  trained net(px::seed{2});
  const std::string before = state_of(net);
  try {
    px::load_checkpoint(net, folder / "checkpoint");
  } catch (const px::error&) {
    CHECK((state_of(net) == before));  // bytes that nobody wants to read
    throw;
  }
}

using file_change = std::function<void(px::tensor_file& file)>;

folder_action checkpoint(const file_change& change) {
  return [=](const fs::path& folder) {
    trained net(px::seed{1});
    px::save_checkpoint(net, folder / "checkpoint");
    px::tensor_file file = px::read_safetensors(folder / "checkpoint");
    change(file);
    px::write_safetensors(folder / "checkpoint", file.tensors, file.metadata);
  };
}

px::stored_tensor& tensor_in(px::tensor_file& file, const std::string& name) {
  return *std::ranges::find(file.tensors, name, &px::stored_tensor::name);
}

template <class T>
folder_action checkpoint_with(const std::string& name, T number) {
  return checkpoint([=](px::tensor_file& file) {
    std::vector<std::byte>& data = tensor_in(file, name).data;
    REQUIRE(data.size() == sizeof number);
    std::memcpy(data.data(), &number, sizeof number);
  });
}

folder_action checkpoint_without(const std::string& beginning) {
  return checkpoint([=](px::tensor_file& file) {
    REQUIRE(std::erase_if(file.tensors, [&](const auto& one) { return one.name.starts_with(beginning); }) >
            0);
  });
}

TEST_CASE("bad input: checkpoints", "[bad_input]") {
  const std::string loading = "loading a checkpoint from 'FOLDER/checkpoint'",
                    other =
                        "give a file saved by the same function from a network with the same layers; "
                        "nothing was loaded",
                    best = "its loss is not a number, or it is a later epoch than the last one",
                    scale = "the scale is not a positive number",
                    plateau = "the factor of the rate is not in [0, 1] or the least loss is NaN";
  constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
  check_bad_inputs(
      "checkpoints",
      {
          {"a best epoch after the last one", load_checkpoint, "restoring the best epoch", best,
           "give a checkpoint of save_checkpoint()",
           checkpoint_with("training.best.epoch", std::uint64_t{8})},
          {"a best epoch whose loss is NaN", load_checkpoint, "restoring the best epoch", best,
           "give a checkpoint of save_checkpoint()", checkpoint_with("training.best.loss", not_a_number)},
          {"a plateau whose factor is NaN", load_checkpoint, "restoring a plateau", plateau,
           "give what plateau() once gave", checkpoint_with("training.plateau.rate_factor", not_a_number)},
          {"a plateau whose factor is negative", load_checkpoint, "restoring a plateau", plateau,
           "give what plateau() once gave", checkpoint_with("training.plateau.rate_factor", -0.5)},
          {"a plateau whose factor is above 1", load_checkpoint, "restoring a plateau", plateau,
           "give what plateau() once gave", checkpoint_with("training.plateau.rate_factor", 1.5)},
          {"a plateau whose least loss is NaN", load_checkpoint, "restoring a plateau", plateau,
           "give what plateau() once gave", checkpoint_with("training.plateau.least_loss", not_a_number)},
          {"a loss scale of 0", load_checkpoint, "restoring the loss scale", scale,
           "give what loss_scale() once gave", checkpoint_with("training.loss_scale", 0.0f)},
          {"an infinite loss scale", load_checkpoint, "restoring the loss scale", scale,
           "give what loss_scale() once gave", checkpoint_with("training.loss_scale", INFINITY)},
          {"a checkpoint without its step", load_checkpoint, loading,
           "missing from the file: \"training.step\"", other, checkpoint_without("training.step")},
          {"a plateau without its cooldown", load_checkpoint, loading,
           "missing from the file: \"training.plateau.cooldown\"", other,
           checkpoint_without("training.plateau.cooldown")},
          {"a best epoch without its loss", load_checkpoint, loading,
           "missing from the file: \"training.best.loss\"", other, checkpoint_without("training.best.loss")},
          {"a checkpoint in FP32 for a network in FP16", load_checkpoint, loading,
           "missing from the file: \"training.loss_scale\", \"training.good_steps\", "
           "\"training.skipped_steps\"",
           other, checkpoint([](px::tensor_file& file) {
             std::erase_if(file.tensors, [](const auto& one) {
               return one.name == "training.loss_scale" || one.name.ends_with("_steps");
             });
           })},
          {"a best epoch with some of its tensors", load_checkpoint, loading,
           "missing from the file: \"best.0.bias\"", other, checkpoint_without("best.0.bias")},
          {"tensors of a best epoch without its number", load_checkpoint, loading,
           "not in the network: \"best.0.weight\", \"best.0.bias\"", other,
           checkpoint_without("training.best.")},
          {"tensors of a best epoch that has others", load_checkpoint, loading,
           "not in the network: \"best.1.bias\"", other, checkpoint([](px::tensor_file& file) {
             px::stored_tensor more = tensor_in(file, "best.0.bias");
             more.name = "best.1.bias";
             file.tensors.push_back(std::move(more));
           })},
          {"an optimiser without a value of one parameter", load_checkpoint, loading,
           "missing from the file: \"optimizer.0.bias.1\"", other, checkpoint_without("optimizer.0.bias.1")},
          {"a state of an optimiser without a name", load_checkpoint, "restoring an optimiser",
           "the file does not say of which one its state is",
           "keep the metadata that save_checkpoint() writes",
           checkpoint([](px::tensor_file& file) { file.metadata.clear(); })},
          {"a count of updates by no optimiser", load_checkpoint, "restoring an optimiser",
           "the file does not say of which one its state is",
           "keep the metadata that save_checkpoint() writes", checkpoint([](px::tensor_file& file) {
             file.metadata.clear();
             std::erase_if(file.tensors, [](const auto& one) { return one.name.starts_with("optimizer."); });
           })},
      });
}

TEST_CASE("bad input: pictures", "[bad_input]") {
  const px::picture dot(1, 1, 3);
  check_bad_inputs(
      "pictures",
      {
          {"a picture without pixels", [](const fs::path&) { px::picture(0, 4, 3); },
           "making a picture of 0×4×3", "it has no pixels", "give a width and a height of at least 1"},
          {"a picture of two channels", [](const fs::path&) { px::picture(4, 4, 2); },
           "making a picture of 4×4×2", "it is neither grey nor RGB", "give 1 or 3 channels"},
          {"a picture too large for PNG", [](const fs::path&) { px::picture(100000, 100000, 3); },
           "making a picture of 100000×100000×3", "it is too large", "make it smaller"},
          {"drawing on a grey picture",
           [](const fs::path&) {
             px::picture grey(4, 4, 1);
             px::canvas{grey};
           },
           "drawing on a picture", "it is grey", "give an RGB picture"},
          {"a picture for a missing folder",
           [=](const fs::path& folder) { px::save_png(dot, folder / "pictures" / "dot.png"); },
           "writing the picture 'FOLDER/pictures/dot.png'", "the folder 'FOLDER/pictures' does not exist",
           "create it first"},
          {"the curve of no training",
           [](const fs::path& folder) { px::save_training_curve({}, folder / "curve.png"); },
           "drawing a training curve", "the history has no epochs", "train first"},
      });
}

}  // namespace
