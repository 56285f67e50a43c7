// Prints the pinch point of each hand: midway between the tips of thumb and index finger.
#include <cmath>
#include <cstdio>
#include <memory>

#include "cmr_ros/msg/hand_mesh_array.hpp"
#include "rclcpp/rclcpp.hpp"

namespace
{
constexpr std::size_t kThumbTip = 4, kIndexTip = 8;  // as in HandTopology.joint_names

class Listener : public rclcpp::Node
{
public:
  Listener() : Node("listener")
  {
    hands_ = create_subscription<cmr_ros::msg::HandMeshArray>(
      "hands", 1, [](cmr_ros::msg::HandMeshArray::ConstSharedPtr message) { print(*message); });
  }

private:
  static void print(const cmr_ros::msg::HandMeshArray & message)
  {
    for (const auto & hand : message.hands) {
      const auto & thumb = hand.joints[kThumbTip];
      const auto & index = hand.joints[kIndexTip];
      const double opening =
        std::hypot(index.x - thumb.x, index.y - thumb.y, index.z - thumb.z);
      std::printf(
        "hand %u: pinch point %.3f %.3f %.3f m, opening %.3f m, in %s\n", hand.track_id,
        (thumb.x + index.x) / 2, (thumb.y + index.y) / 2, (thumb.z + index.z) / 2, opening,
        message.header.frame_id.c_str());
    }
    std::fflush(stdout);
  }

  rclcpp::Subscription<cmr_ros::msg::HandMeshArray>::SharedPtr hands_;
};
}  // namespace

int main(int argc, char ** argv)
{
  rclcpp::init(argc, argv);
  rclcpp::spin(std::make_shared<Listener>());
  rclcpp::shutdown();
  return 0;
}
