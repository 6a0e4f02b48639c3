import { useEffect, useState } from "react";
import { onSessionEnded } from "@/api/client";

/** Whether the session has ended while its pages are open; and what is called once there is another one. */
export function useEnded(): [ended: boolean, begun: () => void] {
  const [ended, setEnded] = useState(false);
  useEffect(() => {
    const stop = onSessionEnded(() => setEnded(true));
    return () => void stop();
  }, []);
  return [ended, () => setEnded(false)];
}
